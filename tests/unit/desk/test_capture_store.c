/* What the desk changes in a captures directory. */
#include "../support/test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/strbuf.h"
#include "desk/capture_store.h"

#define ROOM_BYTES (64 * 1024)

static char directory[64] = "/tmp/sickbay-store-XXXXXX";
static const struct capture_store store = {directory, ROOM_BYTES};
static struct capture_error error;
static bool lacks_noreplace;

/* Instead of libc's. */
int renameat2(int from_fd, const char *from, int to_fd, const char *to, unsigned flags)
{
	if (flags && lacks_noreplace) {
		errno = EINVAL;
		return -1;
	}
	return (int)syscall(SYS_renameat2, from_fd, from, to_fd, to, flags);
}

static const char *path_of(const char *name)
{
	static char path[256];

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	return path;
}

static void write_file(const char *name, size_t len_bytes)
{
	int fd = open(path_of(name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)len_bytes), 0);
	close(fd);
}

static bool is_there(const char *name)
{
	return access(path_of(name), F_OK) == 0;
}

static int start(void **state)
{
	(void)state;
	memcpy(directory + strlen(directory) - 6, "XXXXXX", 6);
	error.text[0] = '\0';
	lacks_noreplace = false;
	return mkdtemp(directory) ? 0 : -1;
}

static int stop(void **state)
{
	char command[128];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf %s", directory);
	return system(command);
}

static void expect(int result, int err, const char *part)
{
	assert_int_equal(result, err);
	if (!strstr(error.text, part))
		fail_msg("no \"%s\" in: %s", part, error.text);
}

static int rename_to(const char *from, const char *label)
{
	char result[CAPTURE_NAME_BYTES];

	return capture_store_rename(&store, from, label, result, &error);
}

static void keeps_what_is_whole(void **state)
{
	struct strbuf text = STRBUF_INIT;
	struct capture_part part;

	(void)state;
	assert_int_equal(capture_part_begin(&store, "a.pb.gz", &part, &error), 0);
	assert_int_equal(capture_part_write(&part, "one ", 4, &error), 0);
	assert_int_equal(capture_part_write(&part, "two", 3, &error), 0);
	assert_false(is_there("a.pb.gz"));
	assert_true(is_there(part.part_name));
	assert_int_equal(capture_store_total_bytes(&store), 0);
	assert_int_equal(capture_part_keep(&part, &error), 0);
	assert_false(is_there(part.part_name));
	assert_int_equal(strbuf_read_file(&text, path_of("a.pb.gz"), 100), 0);
	assert_string_equal(text.data, "one two");
	strbuf_free(&text);
	assert_int_equal(capture_store_total_bytes(&store), 7);
}

static void leaves_nothing_of_what_is_not(void **state)
{
	struct capture_part part;

	(void)state;
	assert_int_equal(capture_part_begin(&store, "a.pb.gz", &part, &error), 0);
	assert_int_equal(capture_part_write(&part, "half", 4, &error), 0);
	capture_part_drop(&part);
	assert_int_equal(capture_store_total_bytes(&store), 0);
	assert_int_equal(rmdir(directory), 0);
}

static void never_replaces_a_capture(void **state)
{
	struct capture_part part, other;

	(void)state;
	assert_int_equal(capture_part_begin(&store, "a.pb.gz", &part, &error), 0);
	assert_int_equal(capture_part_begin(&store, "a.pb.gz", &other, &error), 0);
	assert_int_equal(capture_part_write(&other, "nine byte", 9, &error), 0);
	assert_int_equal(capture_part_keep(&other, &error), 0);
	expect(capture_part_keep(&part, &error), -EEXIST, "There is a capture a.pb.gz already");
	assert_false(is_there(part.part_name));
	assert_int_equal(capture_store_total_bytes(&store), 9);
	assert_true(capture_store_has(&store, "a.pb.gz"));
	assert_false(capture_store_has(&store, "b.pb.gz"));
}

/* As a shared folder of a virtual machine may be. */
static void keeps_where_no_rename_spares_what_is_there(void **state)
{
	lacks_noreplace = true;
	keeps_what_is_whole(state);
	assert_int_equal(capture_store_delete(&store, "a.pb.gz", &error), 0);
	never_replaces_a_capture(state);
	assert_int_equal(rename_to("a.pb.gz", "b"), 0);
	assert_true(is_there("b.pb.gz"));
	assert_false(is_there("a.pb.gz"));
	write_file("c.pb.gz", 1);
	expect(rename_to("b.pb.gz", "c"), -EEXIST, "There is a capture c.pb.gz already");
	assert_true(is_there("b.pb.gz"));
}

/* A desk that was killed leaves a part; one that lives, beside this one, has one. */
static void removes_only_what_a_dead_desk_left(void **state)
{
	struct capture_part part;

	(void)state;
	write_file(".desk-0123456789abcdef.part", 5);
	write_file(".gitkeep", 0);
	write_file("mine.part", 1);
	write_file(".mine.part", 1);
	assert_int_equal(capture_part_begin(&store, "a.pb.gz", &part, &error), 0);
	capture_store_clean(&store);
	assert_false(is_there(".desk-0123456789abcdef.part"));
	assert_true(is_there(".gitkeep"));
	assert_true(is_there("mine.part"));
	assert_true(is_there(".mine.part"));
	assert_int_equal(capture_part_keep(&part, &error), 0);
	assert_true(is_there("a.pb.gz"));
}

static void stays_within_its_bound(void **state)
{
	static const char piece[1024];
	struct capture_part part;
	int err = 0;

	(void)state;
	assert_int_equal(capture_part_begin(&store, "a.pb.gz", &part, &error), 0);
	while (!err)
		err = capture_part_write(&part, piece, sizeof(piece), &error);
	expect(err, -EDQUOT, "DESK_CAPTURES_MAX_MIB): delete some first");
	assert_in_range(part.size_bytes, ROOM_BYTES - 2048, ROOM_BYTES + 2048);
	capture_part_drop(&part);
	write_file(".hidden", ROOM_BYTES);
	expect(capture_part_begin(&store, "b.pb.gz", &part, &error), -EDQUOT, "delete some first");
	assert_true(is_there(".hidden"));
}

static void deletes(void **state)
{
	(void)state;
	write_file("a.pb.gz", 1);
	assert_int_equal(capture_store_delete(&store, "a.pb.gz", &error), 0);
	assert_false(is_there("a.pb.gz"));
	expect(capture_store_delete(&store, "a.pb.gz", &error), -ENOENT, "no capture a.pb.gz");
}

static void renames_and_keeps_what_a_name_says(void **state)
{
	char result[CAPTURE_NAME_BYTES];

	(void)state;
	write_file("step3-fixed-heap-20261121-180312.pb.gz", 1);
	assert_int_equal(capture_store_rename(&store, "step3-fixed-heap-20261121-180312.pb.gz",
				 "before", result, &error),
		0);
	assert_string_equal(result, "before-step3-fixed-heap-20261121-180312.pb.gz");
	assert_true(is_there(result));
	assert_int_equal(rename_to(result, "before"), 0);
	assert_int_equal(rename_to(result, "cpu-30s"), 0);
	assert_true(is_there("cpu-30s-step3-fixed-heap-20261121-180312.pb.gz"));
}

static void renames_and_keeps_the_ending(void **state)
{
	char result[CAPTURE_NAME_BYTES];

	(void)state;
	write_file("a.pb.gz", 1);
	write_file("c.pb.gz", 2);
	assert_int_equal(capture_store_rename(&store, "a.pb.gz", "b", result, &error), 0);
	assert_string_equal(result, "b.pb.gz");
	assert_true(is_there("b.pb.gz"));
	assert_false(is_there("a.pb.gz"));
	expect(rename_to("b.pb.gz", "c"), -EEXIST, "There is a capture c.pb.gz already");
	expect(rename_to("a.pb.gz", "d"), -ENOENT, "no capture a.pb.gz");
	expect(rename_to("b.pb.gz", "../d"), -EINVAL, "letters, digits");
	expect(rename_to("b.pb.gz", ""), -EINVAL, "letters, digits");
	assert_int_equal(capture_store_total_bytes(&store), 3);
}

static void touches_nothing_else(void **state)
{
	static const char *const names[] = {
		"", ".", "..", ".gitkeep", "../x", "/etc/passwd", "directory", "link", "a/b"};

	(void)state;
	write_file(".gitkeep", 0);
	assert_int_equal(mkdir(path_of("directory"), 0755), 0);
	assert_int_equal(symlink(".gitkeep", path_of("link")), 0);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		expect(capture_store_delete(&store, names[i], &error), -ENOENT, "There is no");
		expect(rename_to(names[i], "x"), -ENOENT, "There is no");
	}
	assert_true(is_there(".gitkeep"));
	assert_true(is_there("link"));
	assert_true(is_there("directory"));
}

static void says_what_to_do_where_it_may_not_write(void **state)
{
	static const struct capture_store nowhere = {"/nonexistent", ROOM_BYTES};
	static const struct capture_store device = {"/proc/self", ROOM_BYTES};
	struct capture_part part;

	(void)state;
	expect(capture_part_begin(&nowhere, "a.pb.gz", &part, &error), -ENOENT,
		"/nonexistent, where captures lie (No such file or directory)");
	assert_true(capture_part_begin(&device, "a.pb.gz", &part, &error) < 0);
	expect(0, 0, "chmod 1777 profiles/captures");
	assert_int_equal(capture_store_total_bytes(&nowhere), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(keeps_what_is_whole),
		TEST(leaves_nothing_of_what_is_not),
		TEST(never_replaces_a_capture),
		TEST(keeps_where_no_rename_spares_what_is_there),
		TEST(removes_only_what_a_dead_desk_left),
		TEST(stays_within_its_bound),
		TEST(deletes),
		TEST(renames_and_keeps_what_a_name_says),
		TEST(renames_and_keeps_the_ending),
		TEST(touches_nothing_else),
		TEST(says_what_to_do_where_it_may_not_write),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
