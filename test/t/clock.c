/*
 * clock.c: a wall clock that a test can set while a program runs (LD_PRELOAD, see adversity.py and relay_own_faults.py).
 *
 * The file named by TEST_CLOCK holds one 64-bit number of seconds, which is added to the time of day in every process at
 * once. The monotonic clock is left alone, as it is when somebody sets a real clock. libfaketime would do it, but was seen
 * not to look again in background workers. A wait for a condition until a time of day ends when this clock says so, early
 * or late, as it does when the real one is set.
 */
#define _GNU_SOURCE

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <threads.h>
#include <time.h>
#include <unistd.h>

static const int64_t *offset;
static int (*real_clock)(clockid_t, struct timespec *);
static int (*real_wait)(pthread_cond_t *, pthread_mutex_t *, const struct timespec *);

__attribute__((constructor)) static void
map_offset(void)
{
	static const int64_t none = 0;
	const int file = open(getenv("TEST_CLOCK"), O_RDONLY);
	const void *mapped = file < 0 ? MAP_FAILED : mmap(NULL, sizeof(int64_t), PROT_READ, MAP_SHARED, file, 0);

	offset = mapped == MAP_FAILED ? &none : mapped;
	real_clock = (int (*)(clockid_t, struct timespec *)) dlsym(RTLD_NEXT, "clock_gettime");
	real_wait = (int (*)(pthread_cond_t *, pthread_mutex_t *, const struct timespec *)) dlsym(RTLD_NEXT, "pthread_cond_timedwait");
}

int
clock_gettime(clockid_t clock, struct timespec *now)
{
	if (real_clock == NULL)
		map_offset(); /* another library's constructor was first */
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

int
timespec_get(struct timespec *now, int base)
{
	return clock_gettime(CLOCK_REALTIME, now) == 0 ? base : 0;
}

#define SLICE_NS 20000000
#define A_DAY_OF_THIS_CENTURY 1000000000 /* what is less is the monotonic clock's */

int
pthread_cond_timedwait(pthread_cond_t *condition, pthread_mutex_t *mutex, const struct timespec *until)
{
	if (until->tv_sec < A_DAY_OF_THIS_CENTURY)
		return real_wait(condition, mutex, until);
	for (;;)
	{
		struct timespec now, real;
		int result;

		clock_gettime(CLOCK_REALTIME, &now);
		if (now.tv_sec > until->tv_sec || (now.tv_sec == until->tv_sec && now.tv_nsec >= until->tv_nsec))
			return ETIMEDOUT;
		real_clock(CLOCK_REALTIME, &real);
		real.tv_nsec += SLICE_NS;
		if (real.tv_nsec >= 1000000000)
			real = (struct timespec){.tv_sec = real.tv_sec + 1, .tv_nsec = real.tv_nsec - 1000000000};
		result = real_wait(condition, mutex, &real);
		if (result != ETIMEDOUT)
			return result;
	}
}

/* C11's, which glibc makes of the same thing. */
int
cnd_timedwait(cnd_t *condition, mtx_t *mutex, const struct timespec *until)
{
	const int result = pthread_cond_timedwait((pthread_cond_t *) condition, (pthread_mutex_t *) mutex, until);

	return result == 0 ? thrd_success : result == ETIMEDOUT ? thrd_timedout : thrd_error;
}
