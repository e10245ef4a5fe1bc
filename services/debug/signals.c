/*
 * The debug plane for who has no port: SIGUSR1 dumps all threads to stderr, SIGUSR2 takes a CPU
 * profile into a file, SIGABRT dumps and then leaves a core.
 *
 * SIGUSR1 and SIGUSR2 are blocked everywhere; one thread of ours waits for them, so that none of
 * this work happens in a handler. abort() and kill -ABRT come to a handler, wherever: it asks that
 * thread for a dump. abort() cannot go on, so there the handler waits for it, for a while, then lets
 * the signal do what it does. Whom kill -ABRT interrupts goes on instead, because it may hold a lock
 * that the dump needs (the log's, malloc's): our thread ends the process, or else a timer.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/nofile.h"
#include "debug/internal.h"
#include "diag/cpu.h"
#include "diag/threads.h"
#include "probe/thread.h"

#define ABORT_DUMP_SECONDS 5

unsigned debug_signal_profile_seconds = 30;

static atomic_int signals_tid;
static sem_t is_waiting; /* posted once the above is known */

enum { NOT_ASKED, ASKED, ASKED_TO_END, DUMPED };
static atomic_int abort_dump; /* a futex: the handler waits for DUMPED */
static timer_t abort_timer;   /* sends SIGABRT */
static bool has_abort_timer;

/* ---- in the thread that waits for signals ---- */

static void dump_threads(const char *signal_name)
{
	struct strbuf text = STRBUF_INIT;
	struct thread_snapshot *snapshot;
	int err = thread_snapshot_take(PROBE_DUMP_ALL, &snapshot);

	if (err) {
		log_printf("%s: could not dump the threads: %s", signal_name, strerror(-err));
		return;
	}
	log_printf("%s: %zu threads", signal_name, snapshot->thread_count);
	threads_print_each(NULL, snapshot, &text);
	log_block(text.data, text.len_bytes);
	strbuf_free(&text);
	thread_snapshot_free(snapshot);
}

static void dump_for_abort(void)
{
	dump_threads("SIGABRT");
	if (atomic_exchange(&abort_dump, DUMPED) == ASKED_TO_END)
		(void)kill(getpid(), SIGABRT);
	(void)syscall(SYS_futex, &abort_dump, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

static bool is_asked_to_abort(void)
{
	int state = atomic_load(&abort_dump);

	return state == ASKED || state == ASKED_TO_END;
}

static int write_all(int fd, const struct strbuf *data)
{
	for (size_t done = 0; done < data->len_bytes;) {
		ssize_t count = write(fd, data->data + done, data->len_bytes - done);

		if (count < 0 && errno != EINTR)
			return -errno;
		done += count > 0 ? (size_t)count : 0;
	}
	return 0;
}

/* Into $TMPDIR, as mkstemp() names it. PATH gets the name. */
static int write_profile(const struct strbuf *data, char path[PATH_MAX])
{
	const char *dir = getenv("TMPDIR");
	int err, fd;

	if (snprintf(path, PATH_MAX, "%s/cpu-profile-XXXXXX.pb.gz", dir && *dir ? dir : "/tmp") >=
		PATH_MAX)
		return -ENAMETOOLONG;
	/* The program may have run out of descriptors, and that be what is looked into. */
	nofile_headroom_enter();
	fd = mkostemps(path, strlen(".pb.gz"), O_CLOEXEC);
	nofile_headroom_leave();
	if (fd < 0)
		return -errno;
	err = write_all(fd, data);
	if (close(fd) != 0 && !err)
		err = -errno;
	if (err)
		unlink(path);
	return err;
}

/* Returns when the profile is due, or -1 if none could be started. */
static int64_t start_profile(void)
{
	int err = cpu_profile_start(CPU_HZ_DEFAULT);

	if (err) {
		log_printf("SIGUSR2: could not start a CPU profile: %s",
			err == -EBUSY ? "one is running already" : strerror(-err));
		return -1;
	}
	log_printf("SIGUSR2: taking a CPU profile of %u s", debug_signal_profile_seconds);
	return clock_monotonic_ns() + debug_signal_profile_seconds * CLOCK_NS_PER_SEC;
}

static void end_profile(void)
{
	struct strbuf data = STRBUF_INIT;
	char path[PATH_MAX];
	int err = cpu_profile_stop(&data);

	if (!err)
		err = write_profile(&data, path);
	if (err)
		log_printf("SIGUSR2: no CPU profile: %s", strerror(-err));
	else
		log_printf("SIGUSR2: CPU profile written to %s", path);
	strbuf_free(&data);
}

/* Returns the signal; 0 once UNTIL_NS has come, if it is one. */
static int next_signal(const sigset_t *signals, int64_t until_ns)
{
	int64_t left_ns = until_ns - clock_monotonic_ns();
	struct timespec timeout;
	int signal;

	if (until_ns < 0) {
		signal = sigwaitinfo(signals, NULL);
	} else {
		if (left_ns < 0)
			left_ns = 0;
		timeout.tv_sec = left_ns / CLOCK_NS_PER_SEC;
		timeout.tv_nsec = left_ns % CLOCK_NS_PER_SEC;
		signal = sigtimedwait(signals, NULL, &timeout);
	}
	return signal < 0 && errno == EAGAIN ? 0 : signal;
}

static void *signals_main(void *arg)
{
	int64_t profile_due_ns = -1;

	probe_thread_observe();
	pthread_setname_np(pthread_self(), "debug-signals");
	atomic_store(&signals_tid, gettid());
	sem_post(&is_waiting);
	for (;;) {
		int signal = next_signal(arg, profile_due_ns);

		if (signal == 0) {
			end_profile();
			profile_due_ns = -1;
		} else if (signal == SIGUSR1) {
			if (is_asked_to_abort())
				dump_for_abort();
			else
				dump_threads("SIGUSR1");
		} else if (signal == SIGUSR2 && profile_due_ns >= 0) {
			log_puts("SIGUSR2: a CPU profile is being taken already");
		} else if (signal == SIGUSR2) {
			profile_due_ns = start_profile();
		}
	}
	return NULL;
}

/* ---- in the thread that aborts ---- */

static void wait_for_dump_sigsafe(void)
{
	struct timespec now, end, left = {.tv_sec = ABORT_DUMP_SECONDS};

	clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_sec += ABORT_DUMP_SECONDS;
	while (atomic_load(&abort_dump) == ASKED && left.tv_sec > 0) {
		(void)syscall(SYS_futex, &abort_dump, FUTEX_WAIT_PRIVATE, ASKED, &left, NULL, 0);
		clock_gettime(CLOCK_MONOTONIC, &now);
		left.tv_sec = end.tv_sec - now.tv_sec;
	}
}

static bool ask_for_dump_sigsafe(int how)
{
	atomic_store(&abort_dump, how);
	return syscall(SYS_tgkill, getpid(), atomic_load(&signals_tid), SIGUSR1) == 0;
}

static bool set_abort_timer_sigsafe(void)
{
	const struct itimerspec patience = {.it_value.tv_sec = ABORT_DUMP_SECONDS};

	return has_abort_timer && timer_settime(abort_timer, 0, &patience, NULL) == 0;
}

/*
 * SA_RESETHAND: the next SIGABRT ends the process, also one that comes while we wait. abort() raises
 * it again by itself; others who send it to a thread do not, so we do: it is delivered when this
 * handler returns, and the core shows what was interrupted.
 */
static void on_abort(int signal, siginfo_t *info, void *context)
{
	int error = errno;

	(void)context;
	if (info->si_code != SI_TKILL && set_abort_timer_sigsafe() &&
		ask_for_dump_sigsafe(ASKED_TO_END)) {
		errno = error;
		return;
	}
	if (atomic_load(&signals_tid) != gettid() && ask_for_dump_sigsafe(ASKED))
		wait_for_dump_sigsafe();
	(void)syscall(SYS_tgkill, getpid(), gettid(), signal);
}

int debug_signals_start(void)
{
	static sigset_t signals;
	const struct sigaction action = {
		.sa_sigaction = on_abort,
		.sa_flags = SA_RESETHAND | SA_SIGINFO | SA_RESTART | SA_ONSTACK,
	};
	struct sigevent abort_event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGABRT};
	pthread_t thread;
	int err;

	if (atomic_load(&signals_tid))
		return 0;
	sigemptyset(&signals);
	sigaddset(&signals, SIGUSR1);
	sigaddset(&signals, SIGUSR2);
	sem_init(&is_waiting, 0, 0);
	err = -pthread_sigmask(SIG_BLOCK, &signals, NULL);
	if (!err)
		err = -pthread_create(&thread, NULL, signals_main, &signals);
	if (err)
		return err;
	pthread_detach(thread);
	while (sem_wait(&is_waiting) != 0)
		; /* EINTR */
	has_abort_timer = timer_create(CLOCK_MONOTONIC, &abort_event, &abort_timer) == 0;
	return sigaction(SIGABRT, &action, NULL) == 0 ? 0 : -errno;
}
