#include "captured.h"

#include "../support/test.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "diag/profile.h"

static TEST_FRAME uintptr_t spend_time(void)
{
	return (uintptr_t)__builtin_return_address(0) - 1;
}

static TEST_FRAME uintptr_t do_business(void)
{
	uintptr_t here = spend_time(); /* what the Source view shows */

	return here;
}

void captured_write_profile(const char *directory, const char *name, int64_t seconds)
{
	struct profile *profile = profile_create(
		&(struct profile_config){.values = {{"cpu", "seconds"}}, .value_count = 1});
	const uintptr_t pcs[] = {do_business()};
	struct strbuf out = STRBUF_INIT;
	char path[256];
	int fd;

	profile_add_sample(profile, pcs, 1, &seconds, NULL, 0);
	assert_int_equal(profile_encode(profile, &out), 0);
	profile_free(profile);
	snprintf(path, sizeof(path), "%s/%s", directory, name);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, out.data, out.len_bytes), out.len_bytes);
	close(fd);
	strbuf_free(&out);
}
