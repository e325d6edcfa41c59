/* system.h for Linux and macOS. */
#define _GNU_SOURCE
#define _DARWIN_C_SOURCE
#include "system.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifndef MSG_NOSIGNAL
#define MSG_NOSIGNAL 0 /* macOS: SO_NOSIGPIPE instead */
#endif

extern char **environ;

void autowipe_lock_take(autowipe_lock *lock) { pthread_mutex_lock(lock); }
void autowipe_lock_give(autowipe_lock *lock) { pthread_mutex_unlock(lock); }

double autowipe_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

void autowipe_sleep(int ms)
{
    struct timespec left = {ms / 1000, ms % 1000 * 1000000L};
    while (nanosleep(&left, &left) != 0 && errno == EINTR) {
    }
}

int autowipe_random(unsigned char *bytes, size_t count)
{
    int file = open("/dev/urandom", O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return -1;
    ssize_t got = read(file, bytes, count);
    close(file);
    return got == (ssize_t)count ? 0 : -1;
}

int autowipe_link_folder(char path[AUTOWIPE_PATH])
{
    const char *given = getenv("AUTOWIPE_LINK"), *runtime = getenv("XDG_RUNTIME_DIR"), *temporary = getenv("TMPDIR");
    int length;
    if (given && *given)
        length = snprintf(path, AUTOWIPE_PATH, "%s", given);
#ifdef __APPLE__
    else if (temporary && *temporary)
        length = snprintf(path, AUTOWIPE_PATH, "%s/autowipe", temporary);
#else
    else if (runtime && *runtime)
        length = snprintf(path, AUTOWIPE_PATH, "%s/autowipe", runtime);
#endif
    else
        length = snprintf(path, AUTOWIPE_PATH, "%s/autowipe-%lu", "/tmp", (unsigned long)getuid());
    (void)runtime, (void)temporary;
    struct stat is;
    if (length < 0 || length >= AUTOWIPE_PATH || lstat(path, &is) != 0)
        return -1;
    return S_ISDIR(is.st_mode) && is.st_uid == getuid() && (is.st_mode & 077) == 0 ? 0 : -1;
}

int autowipe_own_file(char path[AUTOWIPE_PATH])
{
    static const char here = 0;
    Dl_info about;
    if (dladdr(&here, &about) == 0 || !about.dli_fname || strlen(about.dli_fname) >= AUTOWIPE_PATH)
        return -1;
    strcpy(path, about.dli_fname);
    return 0;
}

static void close_on_exec(int file) { fcntl(file, F_SETFD, FD_CLOEXEC); }

autowipe_socket autowipe_connect(const char *transport, const char *address, int wait_ms)
{
    struct sockaddr_un path = {.sun_family = AF_UNIX};
    struct sockaddr_in port = {.sin_family = AF_INET};
    const struct sockaddr *to;
    socklen_t size;
    if (strcmp(transport, "unix") == 0) {
        if (strlen(address) >= sizeof path.sun_path)
            return AUTOWIPE_NO_SOCKET;
        strcpy(path.sun_path, address);
        to = (struct sockaddr *)&path, size = sizeof path;
    } else if (strcmp(transport, "tcp") == 0) {
        port.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        port.sin_port = htons((uint16_t)atoi(address));
        to = (struct sockaddr *)&port, size = sizeof port;
    } else {
        return AUTOWIPE_NO_SOCKET;
    }
    int made = socket(to->sa_family, SOCK_STREAM, 0);
    if (made < 0)
        return AUTOWIPE_NO_SOCKET;
    close_on_exec(made);
#ifdef SO_NOSIGPIPE
    int on = 1;
    setsockopt(made, SOL_SOCKET, SO_NOSIGPIPE, &on, sizeof on);
#endif
    fcntl(made, F_SETFL, O_NONBLOCK);
    if (connect(made, to, size) != 0) {
        struct pollfd wanted = {made, POLLOUT, 0};
        int failure = 0;
        socklen_t length = sizeof failure;
        if ((errno != EINPROGRESS && errno != EAGAIN) || poll(&wanted, 1, wait_ms) != 1 ||
            getsockopt(made, SOL_SOCKET, SO_ERROR, &failure, &length) != 0 || failure != 0) {
            close(made);
            return AUTOWIPE_NO_SOCKET;
        }
    }
    return made;
}

int autowipe_send(autowipe_socket to, const void *bytes, size_t count, int wait_ms)
{
    const char *next = bytes;
    double end = autowipe_now() + wait_ms / 1000.0;
    while (count > 0) {
        ssize_t sent = send(to, next, count, MSG_NOSIGNAL);
        if (sent > 0) {
            next += sent, count -= (size_t)sent;
        } else if (sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) {
            struct pollfd wanted = {to, POLLOUT, 0};
            if (autowipe_now() > end || poll(&wanted, 1, 50) < 0)
                return -1;
        } else {
            return -1;
        }
    }
    return 0;
}

int autowipe_is_readable(autowipe_socket from, int wait_ms)
{
    struct pollfd wanted = {from, POLLIN, 0};
    int count = poll(&wanted, 1, wait_ms);
    return count < 0 ? (errno == EINTR ? 0 : -1) : count;
}

long autowipe_receive(autowipe_socket from, void *bytes, size_t count)
{
    ssize_t got;
    do
        got = recv(from, bytes, count, 0);
    while (got < 0 && errno == EINTR);
    return (long)got;
}

void autowipe_disconnect(autowipe_socket open) { close(open); }

int autowipe_shared_open(autowipe_shared *shared, const char *path)
{
    memset(shared, 0, sizeof *shared);
    shared->file = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (shared->file < 0)
        return -1;
    snprintf(shared->path, sizeof shared->path, "%s", path);
    return 0;
}

int autowipe_shared_grow(autowipe_shared *shared, size_t size)
{
    if (size <= shared->size)
        return 0;
    /* Space is claimed now: a write into a file that the disk cannot hold would kill the host. */
#ifdef __APPLE__
    fstore_t space = {F_ALLOCATEALL, F_PEOFPOSMODE, 0, (off_t)(size - shared->size), 0};
    if (fcntl(shared->file, F_PREALLOCATE, &space) != 0 || ftruncate(shared->file, (off_t)size) != 0)
        return -1;
#else
    if (posix_fallocate(shared->file, 0, (off_t)size) != 0)
        return -1;
#endif
    if (shared->bytes)
        munmap(shared->bytes, shared->size);
    shared->size = 0;
    shared->bytes = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, shared->file, 0);
    if (shared->bytes == MAP_FAILED) {
        shared->bytes = NULL;
        return -1;
    }
    shared->size = size;
    return 0;
}

void autowipe_shared_hide(autowipe_shared *shared)
{
    if (shared->path[0])
        unlink(shared->path);
    shared->path[0] = 0;
}

void autowipe_shared_close(autowipe_shared *shared)
{
    autowipe_shared_hide(shared);
    if (shared->bytes)
        munmap(shared->bytes, shared->size);
    close(shared->file);
    shared->bytes = NULL, shared->size = 0;
}

static int is_hosts_own(const char *setting)
{
    static const char *const starts[] = {"PYTHON", "LD_", "DYLD_", "QT_"};
    for (size_t i = 0; i < sizeof starts / sizeof *starts; i++)
        if (strncmp(setting, starts[i], strlen(starts[i])) == 0)
            return 1;
    return 0;
}

int autowipe_start(char *const words[])
{
    size_t count = 0, kept = 0;
    while (environ[count])
        count++;
    char **settings = calloc(count + 1, sizeof *settings);
    if (!settings)
        return -1;
    for (size_t i = 0; i < count; i++)
        if (!is_hosts_own(environ[i]))
            settings[kept++] = environ[i];
    long most = sysconf(_SC_OPEN_MAX);
    most = most < 0 || most > 65536 ? 65536 : most;
    /* Twice, so that the engine is nobody's child here; only calls that are safe after a fork of a threaded host. */
    pid_t child = fork();
    if (child == 0) {
        setsid();
        pid_t engine = fork();
        if (engine != 0)
            _exit(engine < 0);
        sigset_t none;
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, NULL);
        signal(SIGPIPE, SIG_DFL);
        int nowhere = open("/dev/null", O_RDWR);
        for (int file = 0; file < 3; file++)
            dup2(nowhere, file);
        for (int file = 3; file < most; file++)
            close(file);
        execve(words[0], words, settings);
        _exit(127);
    }
    free(settings);
    int how = 0;
    if (child < 0)
        return -1;
    while (waitpid(child, &how, 0) < 0)
        if (errno != EINTR)
            return errno == ECHILD ? 0 : -1; /* the host collects children itself */
    return WIFEXITED(how) && WEXITSTATUS(how) == 0 ? 0 : -1;
}
