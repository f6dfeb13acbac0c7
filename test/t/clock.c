/*
 * clock.c: a wall clock that a test can set while the server runs (LD_PRELOAD, see adversity.py).
 *
 * The file named by TEST_CLOCK holds one 64-bit number of seconds, which is added to the time of day in every process at
 * once. The monotonic clock is left alone, as it is when somebody sets a real clock. libfaketime would do it, but was seen
 * not to look again in background workers.
 */
#define _GNU_SOURCE

#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static const int64_t *offset;
static int (*real_clock)(clockid_t, struct timespec *);

__attribute__((constructor)) static void
map_offset(void)
{
	static const int64_t none = 0;
	const int file = open(getenv("TEST_CLOCK"), O_RDONLY);
	const void *mapped = file < 0 ? MAP_FAILED : mmap(NULL, sizeof(int64_t), PROT_READ, MAP_SHARED, file, 0);

	offset = mapped == MAP_FAILED ? &none : mapped;
	real_clock = (int (*)(clockid_t, struct timespec *)) dlsym(RTLD_NEXT, "clock_gettime");
}

int
clock_gettime(clockid_t clock, struct timespec *now)
{
	const int result = real_clock(clock, now);

	if (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)
		now->tv_sec += *(const volatile int64_t *) offset;
	return result;
}

int
gettimeofday(struct timeval *restrict now, void *restrict zone)
{
	struct timespec time;

	(void) zone;
	clock_gettime(CLOCK_REALTIME, &time);
	*now = (struct timeval){.tv_sec = time.tv_sec, .tv_usec = time.tv_nsec / 1000};
	return 0;
}

time_t
time(time_t *now)
{
	struct timespec seen;

	clock_gettime(CLOCK_REALTIME, &seen);
	if (now != NULL)
		*now = seen.tv_sec;
	return seen.tv_sec;
}
