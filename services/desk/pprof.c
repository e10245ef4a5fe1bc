#include "desk/pprof.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client/client.h"
#include "common/clock.h"
#include "desk/captures.h"

#define PAGE_MAX_BYTES (64 * 1024 * 1024)
#define START_MAX_NS (20 * CLOCK_NS_PER_SEC)
#define START_STEP_MS 5
#define END_STEP_MS 100         /* from the end of its sockets to its own */
#define ANSWER_TIMEOUT_MS 30000 /* the graph is laid out by dot */

/* A capture as it was when pprof read it. */
struct edition {
	char name[CAPTURE_NAME_BYTES]; /* "": none */
	ino_t inode;
	off_t size_bytes;
	int64_t modified_ns;
};

struct session {
	struct edition capture, base;
	pid_t pid;   /* 0: the slot is free */
	int pid_fd;  /* readable once it has ended */
	int said_fd; /* a file in memory, of what it prints */
	struct client *client;
	unsigned user_count;
	int64_t used_ns;
};

static struct {
	struct pprof_config config;
	pthread_mutex_t lock; /* guards all below */
	pthread_cond_t left;  /* a session has a user less */
	struct session sessions[PPROF_SESSIONS_MAX];
	bool is_stopping;
} pprof = {.lock = PTHREAD_MUTEX_INITIALIZER, .left = PTHREAD_COND_INITIALIZER};

void pprof_init(const struct pprof_config *config)
{
	pprof.config = *config;
	pprof.is_stopping = false;
}

/* ---- captures ---- */

static int look_up(const char *name, struct edition *edition, struct pprof_error *error)
{
	char path[PATH_MAX];
	struct stat st;

	memset(edition, 0, sizeof(*edition));
	if (!name)
		return 0;
	snprintf(path, sizeof(path), "%s/%s", pprof.config.captures, name);
	if (!capture_name_is_plain(name) || lstat(path, &st) != 0 || !S_ISREG(st.st_mode)) {
		snprintf(error->text, sizeof(error->text), "There is no capture %.*s (any more).",
			CAPTURE_NAME_BYTES, name);
		return -ENOENT;
	}
	memcpy(edition->name, name, strlen(name) + 1);
	edition->inode = st.st_ino;
	edition->size_bytes = st.st_size;
	edition->modified_ns = st.st_mtim.tv_sec * CLOCK_NS_PER_SEC + st.st_mtim.tv_nsec;
	return 0;
}

static bool is_same(const struct edition *a, const struct edition *b)
{
	return strcmp(a->name, b->name) == 0 && a->inode == b->inode &&
	       a->size_bytes == b->size_bytes && a->modified_ns == b->modified_ns;
}

/* ---- one process ---- */

/* A port that is free now; pprof itself cannot tell in time which one it took. */
static int find_port(uint16_t *port)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len_bytes = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), err = 0;

	if (fd < 0)
		return -errno;
	if (bind(fd, (struct sockaddr *)&address, len_bytes) != 0 ||
		getsockname(fd, (struct sockaddr *)&address, &len_bytes) != 0)
		err = -errno;
	close(fd);
	*port = ntohs(address.sin_port);
	return err;
}

/* Leader of a group. Nothing of the desk's is passed on: no descriptor, no blocked or ignored signal. */
static int spawn(char *const arguments[], int said_fd, pid_t *pid)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	sigset_t none, ignored;
	int err;

	sigemptyset(&none);
	sigemptyset(&ignored);
	sigaddset(&ignored, SIGPIPE);
	posix_spawnattr_init(&attributes);
	posix_spawnattr_setflags(&attributes,
		POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
	posix_spawnattr_setsigmask(&attributes, &none);
	posix_spawnattr_setsigdefault(&attributes, &ignored);
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_adddup2(&actions, said_fd, STDOUT_FILENO);
	posix_spawn_file_actions_adddup2(&actions, said_fd, STDERR_FILENO);
	posix_spawn_file_actions_addclosefrom_np(&actions, STDERR_FILENO + 1);
	err = posix_spawnp(pid, arguments[0], &actions, &attributes, arguments, environ);
	posix_spawn_file_actions_destroy(&actions);
	posix_spawnattr_destroy(&attributes);
	return -err;
}

static int spawn_pprof(struct session *session, uint16_t port)
{
	char listen[32], sources[PATH_MAX], capture[PATH_MAX], base[PATH_MAX];
	/* setpriv has the kernel end it with us, prlimit bounds its memory and files: in a program with threads nothing may run
	 * between fork and exec. */
	char *arguments[] = {"prlimit", "--as=4294967296", "--fsize=16777216", "setpriv",
		"--pdeathsig", "KILL", (char *)pprof.config.program, listen, "-no_browser",
		"-symbolize=none", sources, base, capture, NULL};
	const char *slash = session->base.name[0] ? "/" : "";

	snprintf(listen, sizeof(listen), "-http=127.0.0.1:%u", port);
	snprintf(sources, sizeof(sources), "-source_path=%s", pprof.config.sources);
	snprintf(capture, sizeof(capture), "%s/%s", pprof.config.captures, session->capture.name);
	snprintf(base, sizeof(base), "-diff_base=%s%s%s", *slash ? pprof.config.captures : "",
		slash, session->base.name); /* empty: none */
	return spawn(arguments, session->said_fd, &session->pid);
}

static void end_session(struct session *session)
{
	if (session->pid) {
		kill(-session->pid, SIGKILL); /* its dot too */
		waitpid(session->pid, NULL, 0);
	}
	if (session->pid_fd >= 0)
		close(session->pid_fd);
	if (session->said_fd >= 0)
		close(session->said_fd);
	if (session->client)
		client_free(session->client);
	memset(session, 0, sizeof(*session));
}

static int start_session(
	struct session *session, const struct edition *capture, const struct edition *base)
{
	char url[32];
	struct client_config config = {.base_url = url,
		.idle_max = PPROF_SESSIONS_MAX,
		.answer_timeout_ms = ANSWER_TIMEOUT_MS};
	uint16_t port = 0;
	int err;

	*session = (struct session){.capture = *capture, .base = *base, .pid_fd = -1};
	session->said_fd = memfd_create("pprof", MFD_CLOEXEC);
	err = session->said_fd < 0 ? -errno : find_port(&port);
	if (!err) {
		snprintf(url, sizeof(url), "http://127.0.0.1:%u", port);
		err = client_create(&config, &session->client);
	}
	if (!err)
		err = spawn_pprof(session, port);
	if (!err && (session->pid_fd = pidfd_open(session->pid, 0)) < 0)
		err = -errno;
	if (err)
		end_session(session);
	return err;
}

static bool has_ended(const struct session *session, int wait_ms)
{
	struct pollfd pollfd = {.fd = session->pid_fd, .events = POLLIN};

	return poll(&pollfd, 1, wait_ms) > 0;
}

/* ---- all of them ---- */

/* A free slot, or else the one that nobody uses for longest; there is one for each thread that asks. */
static struct session *choose_slot(void)
{
	struct session *chosen = NULL;

	for (struct session *s = pprof.sessions; s < pprof.sessions + PPROF_SESSIONS_MAX; s++) {
		if (!s->pid)
			return s;
		if (s->user_count == 0 && (!chosen || s->used_ns < chosen->used_ns))
			chosen = s;
	}
	assert(chosen);
	end_session(chosen);
	return chosen;
}

static struct session *find(const struct edition *capture, const struct edition *base)
{
	for (struct session *s = pprof.sessions; s < pprof.sessions + PPROF_SESSIONS_MAX; s++)
		if (s->pid && is_same(&s->capture, capture) && is_same(&s->base, base))
			return s;
	return NULL;
}

/* With the lock held. */
static int enter_session(
	const struct edition *capture, const struct edition *base, struct session **result)
{
	struct session *session = find(capture, base);
	int err = 0;

	if (pprof.is_stopping)
		return -ECANCELED;
	if (session && session->user_count == 0 && has_ended(session, 0)) {
		end_session(session);
		session = NULL;
	}
	if (!session) {
		session = choose_slot();
		err = start_session(session, capture, base);
	}
	if (err)
		return err;
	session->user_count++;
	*result = session;
	return 0;
}

static void leave_session(struct session *session)
{
	pthread_mutex_lock(&pprof.lock);
	session->user_count--;
	session->used_ns = clock_monotonic_ns();
	pthread_cond_broadcast(&pprof.left);
	pthread_mutex_unlock(&pprof.lock);
}

void pprof_stop(void)
{
	pthread_mutex_lock(&pprof.lock);
	pprof.is_stopping = true;
	for (struct session *s = pprof.sessions; s < pprof.sessions + PPROF_SESSIONS_MAX; s++) {
		if (!s->pid)
			continue;
		client_stop(s->client);
		kill(s->pid, SIGKILL);
		while (s->user_count > 0)
			pthread_cond_wait(&pprof.left, &pprof.lock);
		end_session(s);
	}
	pthread_mutex_unlock(&pprof.lock);
}

/* ---- pages ---- */

/* It listens once it has read the capture, or ends and says why not. */
static int open_page(struct session *session, const char *target, struct client_response **response)
{
	int64_t end_ns = clock_monotonic_ns() + START_MAX_NS;
	int err;

	while ((err = client_open(session->client, target, response, NULL)) == -ECONNREFUSED) {
		if (has_ended(session, START_STEP_MS))
			return -EINVAL;
		if (clock_monotonic_ns() > end_ns)
			return -ETIMEDOUT;
	}
	return err;
}

static int read_page(struct client_response *response, struct strbuf *body)
{
	size_t before_bytes = body->len_bytes;
	ssize_t got_bytes;

	do {
		got_bytes = client_read(response, strbuf_reserve(body, 65536), 65536);
		if (got_bytes > 0)
			strbuf_grew(body, (size_t)got_bytes);
		if (body->len_bytes - before_bytes > PAGE_MAX_BYTES)
			return -EFBIG;
	} while (got_bytes > 0);
	return (int)got_bytes;
}

static bool was_killed(const struct session *session)
{
	siginfo_t how = {0};

	return waitid(P_PIDFD, (id_t)session->pid_fd, &how, WEXITED | WNOHANG | WNOWAIT) == 0 &&
	       how.si_code > CLD_EXITED;
}

/* What pprof printed, its lines made one. */
static void add_words(const struct session *session, struct strbuf *out)
{
	char said[512];
	ssize_t len_bytes = pread(session->said_fd, said, sizeof(said) - 1, 0);

	if (was_killed(session))
		strbuf_puts(out, "it was killed; is the capture too large? ");
	while (len_bytes > 0 && said[len_bytes - 1] == '\n')
		len_bytes--;
	for (ssize_t i = 0; i < len_bytes; i++)
		if (said[i] == '\n')
			said[i] = ' ';
	if (len_bytes > 0)
		strbuf_add_utf8(out, said, (size_t)len_bytes);
}

static void explain(const struct session *session, int err, struct pprof_error *error)
{
	struct strbuf words = STRBUF_INIT;

	if (err == -EINVAL)
		add_words(session, &words);
	if (!words.len_bytes)
		strbuf_puts(&words, strerror(-err));
	snprintf(error->text, sizeof(error->text), "pprof cannot show %s%s%s: %s",
		session->capture.name, session->base.name[0] ? " compared with " : "",
		session->base.name, words.data);
	strbuf_free(&words);
}

static int fetch(
	struct session *session, const char *path, struct strbuf *body, struct pprof_error *error)
{
	struct client_response *response;
	struct strbuf target = STRBUF_INIT;
	int err, status = 0;

	strbuf_printf(&target, "/ui/%s", path);
	err = open_page(session, target.data, &response);
	strbuf_free(&target);
	if (!err) {
		err = read_page(response, body);
		status = client_status(response);
		client_close(response);
	}
	/* Then its port may be a stranger's by now, whatever was answered there. */
	if (err != -ECANCELED && has_ended(session, err ? END_STEP_MS : 0))
		err = -EINVAL;
	if (err) {
		explain(session, err, error);
	} else if (status != 200) {
		snprintf(error->text, sizeof(error->text), "pprof says: %.*s",
			(int)(sizeof(error->text) / 2), body->data ? body->data : "no");
		err = -EINVAL;
	}
	return err;
}

int pprof_fetch(const char *name, const char *base_name, const char *path, struct strbuf *body,
	struct pprof_error *error)
{
	struct edition capture, base;
	struct session *session;
	int err = look_up(name, &capture, error);

	if (!err)
		err = look_up(base_name, &base, error);
	if (err)
		return err;
	pthread_mutex_lock(&pprof.lock);
	err = enter_session(&capture, &base, &session);
	pthread_mutex_unlock(&pprof.lock);
	if (err) {
		snprintf(error->text, sizeof(error->text), "pprof cannot be started: %s.",
			strerror(-err));
		return err;
	}
	err = fetch(session, path, body, error);
	leave_session(session);
	return err;
}
