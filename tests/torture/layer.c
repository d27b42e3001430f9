/* Between a process and its disk, by LD_PRELOAD: logs what it does to the files of one directory, kills it at a chosen
 * moment, or lets calls fail. The process is what it always is; it knows nothing of this.
 *
 * LAYER_DIRECTORY  the directory whose files are meant
 * LAYER_LOG        a file outside of it: records of `struct record`, the name, the other name, the data
 * LAYER_KILL       "wal.sync before 3": SIGKILL before the third sync of the write-ahead log. Several such triples
 *                  follow one another: "journal.sync after 1 wal.write half 1".
 * LAYER_FAIL       a file that may come and go; while its content is "wal.sync 5", each sync of the log fails with errno 5
 * LAYER_PORT       a TCP port on loopback whose connections are "mqtt" to LAYER_KILL
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

enum { CREATE = 1, WRITE, TRUNCATE, SYNC, RENAME, UNLINK };

struct record {
    uint32_t call, name_size, other_size, data_size;
    int64_t offset; /* of a write; the new size of a truncation */
};

enum { MOST_DESCRIPTORS = 4096, MOST_STEPS = 8, NAME_SIZE = 256 };

struct step {
    char what[32], when[8];
    int count;
};

static char directory[PATH_MAX];
static char *names[MOST_DESCRIPTORS]; /* relative to the directory; "" is itself */
static char is_socket[MOST_DESCRIPTORS];
static struct step steps[MOST_STEPS];
static int step_count, step_now, log_descriptor = -1, port;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

#define REAL(type, name, ...)                                                                                          \
    static type (*real_##name)(__VA_ARGS__);                                                                           \
    if (!real_##name)                                                                                                  \
        real_##name = (type(*)(__VA_ARGS__))dlsym(RTLD_NEXT, #name);

__attribute__((constructor)) static void begin(void) {
    const char *text = getenv("LAYER_DIRECTORY");
    if (!text || !realpath(text, directory))
        return;
    port = getenv("LAYER_PORT") ? atoi(getenv("LAYER_PORT")) : 0;
    if ((text = getenv("LAYER_LOG"))) {
        REAL(int, open, const char *, int, ...)
        log_descriptor = real_open(text, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
        if (log_descriptor < 0)
            abort();
    }
    int used = 0;
    for (text = getenv("LAYER_KILL"); text && step_count < MOST_STEPS; text += used) {
        struct step *one = &steps[step_count];
        if (sscanf(text, " %31s %7s %d%n", one->what, one->when, &one->count, &used) != 3)
            break;
        step_count++;
    }
}

static const char *kind_of(const char *name) {
    size_t size = strlen(name);
    if (!size)
        return "directory";
    if (size > 4 && !strcmp(name + size - 4, "-wal"))
        return "wal";
    if (size > 3 && !strcmp(name + size - 3, ".db"))
        return "db";
    if (size > 8 && !strcmp(name + size - 8, "-journal"))
        return "rollback";
    return strstr(name, ".ndjson") ? "journal" : NULL;
}

/* The name below the directory, NULL for what is not meant. */
static const char *meant(const char *path) {
    static __thread char whole[PATH_MAX + NAME_SIZE];
    size_t size = strlen(directory);
    if (!size || !path)
        return NULL;
    if (path[0] != '/') {
        char here[PATH_MAX];
        if (!getcwd(here, sizeof here))
            return NULL;
        snprintf(whole, sizeof whole, "%s/%.255s", here, path);
        path = whole;
    }
    if (strncmp(path, directory, size) || (path[size] && path[size] != '/'))
        return NULL;
    path += size + (path[size] == '/');
    return kind_of(path) ? path : NULL;
}

static const char *name_of(int descriptor) {
    return descriptor >= 0 && descriptor < MOST_DESCRIPTORS ? names[descriptor] : NULL;
}

/* Whether this is the moment that the process is to die at. Moments are counted in the order of the steps. */
static int is_moment(const char *kind, const char *call, const char *when) {
    char what[32];
    int dies = 0;
    if (!step_count)
        return 0;
    snprintf(what, sizeof what, "%s.%s", kind, call);
    pthread_mutex_lock(&mutex);
    if (step_now < step_count) {
        struct step *one = &steps[step_now];
        if (!strcmp(one->what, what) && !strcmp(one->when, when) && --one->count <= 0)
            dies = ++step_now == step_count;
    }
    pthread_mutex_unlock(&mutex);
    return dies;
}

/* Whether the disk is to refuse this call at present; errno says why. */
static int fails(const char *kind, const char *call) {
    static const char *path;
    char what[32], wanted[32];
    int number = 0;
    if (!path && !(path = getenv("LAYER_FAIL")))
        path = "";
    FILE *file = path[0] ? fopen(path, "re") : NULL;
    if (!file)
        return 0;
    int found = fscanf(file, "%31s %d", wanted, &number);
    fclose(file);
    snprintf(what, sizeof what, "%s.%s", kind, call);
    if (found != 2 || strcmp(what, wanted))
        return 0;
    errno = number;
    return 1;
}

static void die(void) {
    kill(getpid(), SIGKILL);
    for (;;)
        pause();
}

static void pass(const char *kind, const char *call, const char *when) {
    if (is_moment(kind, call, when))
        die();
}

static void put(const void *data, size_t size) {
    REAL(ssize_t, write, int, const void *, size_t)
    const char *rest = data;
    while (size) {
        ssize_t done = real_write(log_descriptor, rest, size);
        if (done < 0 && errno != EINTR)
            abort();
        if (done > 0) {
            rest += done;
            size -= (size_t)done;
        }
    }
}

/* Called with the mutex held. */
static void note(uint32_t call, const char *name, const char *other, int64_t offset, const void *data, size_t size) {
    if (log_descriptor < 0)
        return;
    struct record one = {call, (uint32_t)strlen(name), other ? (uint32_t)strlen(other) : 0, (uint32_t)size, offset};
    put(&one, sizeof one);
    put(name, one.name_size);
    if (other)
        put(other, one.other_size);
    put(data, size);
}

static int opened(int (*real)(const char *, int, ...), const char *path, int flags, mode_t mode) {
    const char *name = meant(path);
    if (!name)
        return real(path, flags, mode);
    struct stat before;
    int is_new = (flags & O_CREAT) && stat(path, &before);
    if (is_new)
        pass(kind_of(name), "create", "before");
    pthread_mutex_lock(&mutex);
    if (is_new)
        note(CREATE, name, NULL, 0, NULL, 0);
    int descriptor = real(path, flags, mode);
    if (descriptor >= 0 && descriptor < MOST_DESCRIPTORS) {
        free(names[descriptor]);
        names[descriptor] = strdup(name);
    }
    pthread_mutex_unlock(&mutex);
    if (is_new)
        pass(kind_of(name), "create", "after");
    return descriptor;
}

#define OPEN(name)                                                                                                     \
    int name(const char *path, int flags, ...) {                                                                       \
        REAL(int, name, const char *, int, ...)                                                                        \
        va_list list;                                                                                                  \
        va_start(list, flags);                                                                                         \
        mode_t mode = flags & O_CREAT ? va_arg(list, mode_t) : 0;                                                     \
        va_end(list);                                                                                                  \
        return opened(real_##name, path, flags, mode);                                                                 \
    }
OPEN(open)
OPEN(open64)

int close(int descriptor) {
    REAL(int, close, int)
    if (name_of(descriptor)) {
        pthread_mutex_lock(&mutex);
        free(names[descriptor]);
        names[descriptor] = NULL;
        pthread_mutex_unlock(&mutex);
    }
    if (descriptor >= 0 && descriptor < MOST_DESCRIPTORS)
        is_socket[descriptor] = 0;
    return real_close(descriptor);
}

static ssize_t written(int descriptor, const void *data, size_t size, off64_t offset) {
    REAL(ssize_t, pwrite64, int, const void *, size_t, off64_t)
    REAL(ssize_t, write, int, const void *, size_t)
    const char *name = name_of(descriptor), *kind = kind_of(name);
    pass(kind, "write", "before");
    if (fails(kind, "write"))
        return -1;
    int dies = is_moment(kind, "write", "half");
    if (dies)
        size /= 2;
    pthread_mutex_lock(&mutex);
    int64_t place = offset;
    if (offset < 0)
        place = fcntl(descriptor, F_GETFL) & O_APPEND ? lseek64(descriptor, 0, SEEK_END) : lseek64(descriptor, 0, SEEK_CUR);
    ssize_t done = offset < 0 ? real_write(descriptor, data, size) : real_pwrite64(descriptor, data, size, offset);
    if (done > 0)
        note(WRITE, name, NULL, place, data, (size_t)done);
    pthread_mutex_unlock(&mutex);
    if (dies)
        die();
    pass(kind, "write", "after");
    return done;
}

ssize_t write(int descriptor, const void *data, size_t size) {
    REAL(ssize_t, write, int, const void *, size_t)
    return name_of(descriptor) ? written(descriptor, data, size, -1) : real_write(descriptor, data, size);
}

ssize_t pwrite64(int descriptor, const void *data, size_t size, off64_t offset) {
    REAL(ssize_t, pwrite64, int, const void *, size_t, off64_t)
    return name_of(descriptor) ? written(descriptor, data, size, offset) : real_pwrite64(descriptor, data, size, offset);
}

ssize_t pwrite(int descriptor, const void *data, size_t size, off_t offset) {
    return pwrite64(descriptor, data, size, offset);
}

static int cut(int (*real)(int, off64_t), int descriptor, off64_t size) {
    const char *name = name_of(descriptor);
    if (!name)
        return real(descriptor, size);
    pass(kind_of(name), "truncate", "before");
    pthread_mutex_lock(&mutex);
    int done = real(descriptor, size);
    if (!done)
        note(TRUNCATE, name, NULL, size, NULL, 0);
    pthread_mutex_unlock(&mutex);
    pass(kind_of(name), "truncate", "after");
    return done;
}

int ftruncate64(int descriptor, off64_t size) {
    REAL(int, ftruncate64, int, off64_t)
    return cut(real_ftruncate64, descriptor, size);
}

int ftruncate(int descriptor, off_t size) {
    return ftruncate64(descriptor, size);
}

/* A sync counts when it is done: what was written meanwhile to the same file would not be covered, but each of these
 * files has one thread that writes it. */
static int synced(int (*real)(int), int descriptor) {
    const char *name = name_of(descriptor);
    if (!name)
        return real(descriptor);
    const char *kind = kind_of(name);
    pass(kind, "sync", "before");
    if (fails(kind, "sync"))
        return -1;
    int done = real(descriptor);
    pthread_mutex_lock(&mutex);
    if (!done)
        note(SYNC, name, NULL, 0, NULL, 0);
    pthread_mutex_unlock(&mutex);
    pass(kind, "sync", "after");
    return done;
}

int fsync(int descriptor) {
    REAL(int, fsync, int)
    return synced(real_fsync, descriptor);
}

int fdatasync(int descriptor) {
    REAL(int, fdatasync, int)
    return synced(real_fdatasync, descriptor);
}

int unlink(const char *path) {
    REAL(int, unlink, const char *)
    const char *name = meant(path);
    if (!name)
        return real_unlink(path);
    pass(kind_of(name), "unlink", "before");
    pthread_mutex_lock(&mutex);
    int done = real_unlink(path);
    if (!done)
        note(UNLINK, name, NULL, 0, NULL, 0);
    pthread_mutex_unlock(&mutex);
    pass(kind_of(name), "unlink", "after");
    return done;
}

int rename(const char *from, const char *to) {
    REAL(int, rename, const char *, const char *)
    const char *found = meant(from);
    if (!found)
        return real_rename(from, to);
    char name[NAME_SIZE];
    snprintf(name, sizeof name, "%s", found);
    const char *other = meant(to);
    pass(kind_of(name), "rename", "before");
    pthread_mutex_lock(&mutex);
    int done = real_rename(from, to);
    if (!done) {
        note(RENAME, name, other ? other : "", 0, NULL, 0);
        for (int descriptor = 0; other && descriptor < MOST_DESCRIPTORS; descriptor++)
            if (names[descriptor] && !strcmp(names[descriptor], name)) {
                free(names[descriptor]);
                names[descriptor] = strdup(other);
            }
    }
    pthread_mutex_unlock(&mutex);
    pass(kind_of(name), "rename", "after");
    return done;
}

int connect(int descriptor, const struct sockaddr *address, socklen_t size) {
    REAL(int, connect, int, const struct sockaddr *, socklen_t)
    if (port && address->sa_family == AF_INET && ntohs(((const struct sockaddr_in *)address)->sin_port) == port &&
        descriptor < MOST_DESCRIPTORS)
        is_socket[descriptor] = 1;
    return real_connect(descriptor, address, size);
}

ssize_t send(int descriptor, const void *data, size_t size, int flags) {
    REAL(ssize_t, send, int, const void *, size_t, int)
    if (descriptor < 0 || descriptor >= MOST_DESCRIPTORS || !is_socket[descriptor])
        return real_send(descriptor, data, size, flags);
    pass("mqtt", "send", "before");
    if (is_moment("mqtt", "send", "half")) {
        real_send(descriptor, data, size / 2, flags);
        die();
    }
    ssize_t done = real_send(descriptor, data, size, flags);
    if (done > 0)
        pass("mqtt", "send", "after");
    return done;
}

ssize_t recv(int descriptor, void *data, size_t size, int flags) {
    REAL(ssize_t, recv, int, void *, size_t, int)
    ssize_t done = real_recv(descriptor, data, size, flags);
    if (done > 0 && descriptor < MOST_DESCRIPTORS && is_socket[descriptor])
        pass("mqtt", "recv", "after");
    return done;
}
