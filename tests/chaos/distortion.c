/* Preloaded into a process (LD_PRELOAD): its wall clock steps and its disk is slow, as the control
 * file says at that moment. IOC_DISTORTION names the file, two 64-bit integers: nanoseconds added
 * to the wall clock (never to the monotonic one), microseconds that every write to a regular file
 * takes longer.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

static volatile int64_t *control;
static int (*real_clock_gettime)(clockid_t, struct timespec *);
static ssize_t (*real_write)(int, const void *, size_t);
static ssize_t (*real_writev)(int, const struct iovec *, int);
static ssize_t (*real_pwrite)(int, const void *, size_t, off_t);
static ssize_t (*real_pwrite64)(int, const void *, size_t, off64_t);
static int (*real_fsync)(int);
static int (*real_fdatasync)(int);

__attribute__((constructor)) static void begin(void) {
  const char *path = getenv("IOC_DISTORTION");
  real_clock_gettime = dlsym(RTLD_NEXT, "clock_gettime");
  real_write = dlsym(RTLD_NEXT, "write");
  real_writev = dlsym(RTLD_NEXT, "writev");
  real_pwrite = dlsym(RTLD_NEXT, "pwrite");
  real_pwrite64 = dlsym(RTLD_NEXT, "pwrite64");
  real_fsync = dlsym(RTLD_NEXT, "fsync");
  real_fdatasync = dlsym(RTLD_NEXT, "fdatasync");
  if (path == NULL) return;
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return;
  void *page = mmap(NULL, 16, PROT_READ, MAP_SHARED, fd, 0);
  close(fd);
  if (page != MAP_FAILED) control = page;
}

int clock_gettime(clockid_t id, struct timespec *out) {
  int code = real_clock_gettime ? real_clock_gettime(id, out)
                                : (int)syscall(SYS_clock_gettime, id, out);
  if (code == 0 && control && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE)) {
    int64_t ns = out->tv_sec * 1000000000LL + out->tv_nsec + control[0];
    out->tv_sec = ns / 1000000000LL;
    out->tv_nsec = ns % 1000000000LL;
  }
  return code;
}

int gettimeofday(struct timeval *out, void *zone) {
  struct timespec now;
  (void)zone;
  if (clock_gettime(CLOCK_REALTIME, &now) != 0) return -1;
  out->tv_sec = now.tv_sec;
  out->tv_usec = now.tv_nsec / 1000;
  return 0;
}

time_t time(time_t *out) {
  struct timespec now;
  if (clock_gettime(CLOCK_REALTIME, &now) != 0) return (time_t)-1;
  if (out) *out = now.tv_sec;
  return now.tv_sec;
}

static void drag(int fd) {
  struct stat about;
  if (!control || control[1] <= 0 || fstat(fd, &about) != 0 || !S_ISREG(about.st_mode)) return;
  struct timespec rest = {control[1] / 1000000, control[1] % 1000000 * 1000};
  nanosleep(&rest, NULL);
}

ssize_t write(int fd, const void *data, size_t size) {
  drag(fd);
  return real_write ? real_write(fd, data, size) : syscall(SYS_write, fd, data, size);
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
  drag(fd);
  return real_writev ? real_writev(fd, parts, count) : syscall(SYS_writev, fd, parts, count);
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t at) {
  drag(fd);
  return real_pwrite(fd, data, size, at);
}

ssize_t pwrite64(int fd, const void *data, size_t size, off64_t at) {
  drag(fd);
  return real_pwrite64(fd, data, size, at);
}

int fsync(int fd) {
  drag(fd);
  return real_fsync(fd);
}

int fdatasync(int fd) {
  drag(fd);
  return real_fdatasync(fd);
}
