/* Interposed functions that are called for the first time while the loader's lock is held. */
#include "../support/test.h"

#include <dlfcn.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "probe/syscall.h"
#include "probe/thread.h"

#define PATIENCE_S 20

static char directory[] = "/tmp/test-interpose-XXXXXX";

/*
 * The loader holds its lock while the constructor runs, and the constructor waits for a thread: who
 * looked for libc's functions only now, in that thread, would wait for ever.
 */
static const char library_source[] =
	"#define _GNU_SOURCE\n"
	"#include <pthread.h>\n"
	"#include <semaphore.h>\n"
	"#include <sys/eventfd.h>\n"
	"#include <time.h>\n"
	"#include <unistd.h>\n"
	"static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;\n"
	"static pthread_cond_t never = PTHREAD_COND_INITIALIZER;\n"
	"int right_count;\n"
	"static void *call_all(void *arg)\n"
	"{\n"
	"	const struct timespec past = {1, 0};\n"
	"	sem_t semaphore;\n"
	"	int fd = eventfd(0, 0);\n"
	"	sem_init(&semaphore, 0, 0);\n"
	"	right_count += fd >= 0 && close(fd) == 0;\n"
	"	right_count += usleep(1) == 0;\n"
	"	right_count += sem_timedwait(&semaphore, &past) == -1;\n"
	"	right_count += pthread_mutex_timedlock(&lock, &past) == 0;\n"
	"	right_count += pthread_cond_timedwait(&never, &lock, &past) != 0;\n"
	"	right_count += pthread_mutex_unlock(&lock) == 0;\n"
	"	right_count += pthread_setname_np(pthread_self(), \"early\") == 0;\n"
	"	return arg;\n"
	"}\n"
	"__attribute__((constructor)) static void begin(void)\n"
	"{\n"
	"	pthread_t thread;\n"
	"	if (pthread_create(&thread, NULL, call_all, NULL) == 0)\n"
	"		right_count += pthread_join(thread, NULL) == 0;\n"
	"}\n";
#define RIGHT_COUNT 8

static atomic_int told_count;

static bool is_wanted(void)
{
	return true;
}

static void on_end(const struct probe_syscall *call)
{
	if (strcmp(call->call->function, "eventfd") == 0 ||
		strcmp(call->call->function, "close") == 0)
		atomic_fetch_add(&told_count, 1);
}

static void *load_library(void)
{
	static const struct probe_syscall_listener listener = {is_wanted, on_end};
	char path[PATH_MAX];
	void *library;

	snprintf(path, sizeof(path), "%s/libearly.so", directory);
	alarm(PATIENCE_S);
	probe_syscall_listen(&listener);
	library = dlopen(path, RTLD_NOW);
	probe_syscall_listen(NULL);
	alarm(0);
	assert_non_null(library);
	return library;
}

static void test_first_calls_in_a_librarys_constructor(void **state)
{
	char command[PATH_MAX * 2];
	FILE *compiler;
	void *library;

	(void)state;
	snprintf(command, sizeof(command), "gcc -x c - -shared -fPIC -o %s/libearly.so", directory);
	compiler = popen(command, "w");
	assert_non_null(compiler);
	fputs(library_source, compiler);
	assert_int_equal(pclose(compiler), 0);
	library = load_library();
	assert_int_equal(*(int *)dlsym(library, "right_count"), RIGHT_COUNT);
	assert_int_equal(atomic_load(&told_count), 2);
	dlclose(library);
}

static int set_up(void **state)
{
	(void)state;
	probe_thread_init();
	return mkdtemp(directory) ? 0 : -1;
}

static int tear_down(void **state)
{
	char command[sizeof(directory) + 16];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf %s", directory);
	return system(command);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_first_calls_in_a_librarys_constructor),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
