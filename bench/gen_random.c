/*
 * gen_random.c: the random numbers of bench/generate (see gen.h).
 *
 * SplitMix64: a counter through a bijective mixer. Any stream starts anywhere at no cost, which is what makes an
 * account a pure function of its number.
 */
#include "gen.h"

#define GOLDEN UINT64_C(0x9e3779b97f4a7c15)

uint64_t
random_mix(uint64_t value)
{
	value = (value ^ (value >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	value = (value ^ (value >> 27)) * UINT64_C(0x94d049bb133111eb);
	return value ^ (value >> 31);
}

Random
random_stream(const Gen *gen, int64_t account_id, Stream stream)
{
	const uint64_t key = random_mix(gen->seed * GOLDEN + (uint64_t) gen->period.from);

	return (Random){random_mix(key ^ random_mix((uint64_t) account_id * 8 + (uint64_t) stream))};
}

uint64_t
random_next(Random *random)
{
	random->state += GOLDEN;
	return random_mix(random->state);
}

int64_t
random_below(Random *random, int64_t below)
{
	/* multiply and shift: no modulo, and the bias is below 2^-32 for every range used here */
	return (int64_t) (((random_next(random) >> 32) * (uint64_t) below) >> 32);
}

bool
random_chance(Random *random, int of)
{
	return random_below(random, 10000) < of;
}

/* e^x by additions and multiplications alone, so that every machine gets the same bits. */
static double
exponential(double x)
{
	double scale = 1, term = 1, sum = 1;

	for (; x > 0.5; x -= 0.5)
		scale *= 1.6487212707001282;
	for (; x < -0.5; x += 0.5)
		scale *= 0.6065306597126334;
	for (int i = 1; i < 9; i++)
	{
		term *= x / i;
		sum += term;
	}
	return scale * sum;
}

/* Sum of twelve uniform numbers: normal enough for usage, and it has no tail beyond 6 sigma. */
static double
normal(Random *random)
{
	int64_t sum = 0;

	for (int i = 0; i < 3; i++)
	{
		const uint64_t bits = random_next(random);

		sum += (int64_t) ((bits & 0xffff) + (bits >> 16 & 0xffff) + (bits >> 32 & 0xffff) + (bits >> 48));
	}
	return (double) sum / 65536.0 - 6.0;
}

int64_t
random_lognormal(Random *random, double median, double sigma)
{
	return (int64_t) (median * exponential(sigma * normal(random)));
}

int
random_pick(Random *random, const int *weights, int n)
{
	int64_t sum = 0, at;

	for (int i = 0; i < n; i++)
		sum += weights[i];
	at = random_below(random, sum);
	for (int i = 0; i < n; i++)
	{
		at -= weights[i];
		if (at < 0)
			return i;
	}
	return n - 1;
}
