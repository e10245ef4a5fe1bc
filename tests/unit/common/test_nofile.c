#include "../support/test.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/nofile.h"

static struct rlimit original;

static void set_soft(rlim_t soft)
{
	struct rlimit limit = original;

	limit.rlim_cur = soft;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

static rlim_t soft(void)
{
	struct rlimit limit;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	return limit.rlim_cur;
}

static int remember(void **state)
{
	(void)state;
	return getrlimit(RLIMIT_NOFILE, &original);
}

static int restore(void **state)
{
	(void)state;
	return setrlimit(RLIMIT_NOFILE, &original);
}

static void raises_and_restores(void **state)
{
	(void)state;
	set_soft(64);
	errno = EMFILE;
	nofile_headroom_enter();
	assert_int_equal(soft(), original.rlim_max);
	nofile_headroom_enter();
	assert_int_equal(soft(), original.rlim_max);
	nofile_headroom_leave();
	assert_int_equal(soft(), original.rlim_max);
	nofile_headroom_leave();
	assert_int_equal(soft(), 64);
	assert_int_equal(errno, EMFILE);
}

static void leaves_a_limit_set_meanwhile(void **state)
{
	(void)state;
	set_soft(64);
	nofile_headroom_enter();
	set_soft(48);
	nofile_headroom_leave();
	assert_int_equal(soft(), 48);
	/* Also when somebody else needed headroom after that. */
	set_soft(64);
	nofile_headroom_enter();
	set_soft(48);
	nofile_headroom_enter();
	assert_int_equal(soft(), original.rlim_max);
	nofile_headroom_leave();
	nofile_headroom_leave();
	assert_int_equal(soft(), 48);
}

static void does_nothing_at_the_hard_limit(void **state)
{
	(void)state;
	set_soft(original.rlim_max);
	nofile_headroom_enter();
	set_soft(64);
	nofile_headroom_leave();
	assert_int_equal(soft(), 64);
}

static void opens_past_the_soft_limit(void **state)
{
	int probe = dup(0), fd;

	(void)state;
	close(probe);
	set_soft(probe);
	assert_int_equal(open("/dev/null", O_RDONLY), -1);
	assert_int_equal(errno, EMFILE);
	fd = nofile_open("/dev/null", O_RDONLY);
	assert_true(fd >= probe);
	assert_int_equal(soft(), probe);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	close(fd);
	assert_int_equal(nofile_open("/nonexistent", O_RDONLY), -ENOENT);
}

static void *enter_and_leave(void *unused)
{
	(void)unused;
	for (int i = 0; i < 2000; i++) {
		nofile_headroom_enter();
		nofile_headroom_leave();
	}
	return NULL;
}

static void counts_threads(void **state)
{
	pthread_t threads[4];

	(void)state;
	set_soft(64);
	for (int i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, enter_and_leave, NULL), 0);
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(soft(), 64);
}

struct numbers {
	int wanted, wanted_count, count;
};

static void count_number(int fd, void *context)
{
	struct numbers *numbers = context;

	numbers->count++;
	numbers->wanted_count += fd == numbers->wanted;
}

static void raises_for_good(void **state)
{
	(void)state;
	set_soft(64);
	assert_int_equal(nofile_raise(), 0);
	assert_int_equal(soft(), original.rlim_max);
	nofile_headroom_enter();
	nofile_headroom_leave();
	assert_int_equal(soft(), original.rlim_max);
}

static void visits_all_but_its_own(void **state)
{
	struct numbers before = {.wanted = -1}, after = {.wanted = dup(0)};

	(void)state;
	assert_int_equal(nofile_for_each(count_number, &after), 0);
	assert_int_equal(after.wanted_count, 1);
	close(after.wanted);
	assert_int_equal(nofile_for_each(count_number, &before), 0);
	assert_int_equal(after.count, before.count + 1);
}

static void visits_them_at_the_limit(void **state)
{
	struct numbers numbers = {.wanted = dup(0)};

	(void)state;
	set_soft((rlim_t)numbers.wanted + 1);
	assert_int_equal(dup(0), -1);
	assert_int_equal(nofile_for_each(count_number, &numbers), 0);
	assert_int_equal(numbers.wanted_count, 1);
	close(numbers.wanted);
}

static int count_all(void)
{
	struct numbers numbers = {.wanted = -1};

	return nofile_for_each(count_number, &numbers) == 0 ? numbers.count : -1;
}

/* In a child, whose hard limit is never raised again. */
static int count_at_the_hard_limit(void)
{
	struct rlimit limit = {64, 64};
	int expected = count_all();

	if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
		return 1;
	while (dup(0) >= 0)
		expected++;
	if (count_all() != expected)
		return 2;
	/* Under what is open. */
	limit = (struct rlimit){8, 8};
	return setrlimit(RLIMIT_NOFILE, &limit) == 0 && count_all() == expected ? 0 : 3;
}

static void visits_them_with_no_descriptor_left(void **state)
{
	pid_t child = fork();
	int status;

	(void)state;
	if (child == 0)
		_exit(count_at_the_hard_limit());
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(raises_and_restores, restore),
		cmocka_unit_test_teardown(raises_for_good, restore),
		cmocka_unit_test_teardown(visits_all_but_its_own, restore),
		cmocka_unit_test_teardown(visits_them_at_the_limit, restore),
		cmocka_unit_test(visits_them_with_no_descriptor_left),
		cmocka_unit_test_teardown(leaves_a_limit_set_meanwhile, restore),
		cmocka_unit_test_teardown(does_nothing_at_the_hard_limit, restore),
		cmocka_unit_test_teardown(opens_past_the_soft_limit, restore),
		cmocka_unit_test_teardown(counts_threads, restore),
	};

	return cmocka_run_group_tests(tests, remember, restore);
}
