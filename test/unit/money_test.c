/*
 * money_test.c: amounts are exact, rounded once, and overflow is always reported.
 *
 * Holds to DESIGN.md §2 (exact decimals of at most 12 places, integers of minor units) and §3 (half up on the magnitude;
 * largest remainder; every overflow is caught).
 */
#include "rig.h"

__extension__ typedef unsigned __int128 Magnitude;

static const Amount amount_max = (Amount) (((Magnitude) 1 << 127) - 1);

static void
reading(void)
{
	static const struct {
		const char *text, *canonical; /* canonical NULL: refused */
	} rows[] = {
		{"0", "0"}, {"-0", "0"}, {"1", "1"}, {"-12.345", "-12.345"}, {"12.50", "12.5"}, {"007", "7"},
		{"0.000000000001", "0.000000000001"}, {"-0.000000000001", "-0.000000000001"},
		{"0.0000000000010000", "0.000000000001"}, {"0.0000000000001", NULL}, {"1.0000000000000", "1"},
		{"100000000000000000000000000", "100000000000000000000000000"},
		{"170141183460469231731687303.715884105727", "170141183460469231731687303.715884105727"},
		{"-170141183460469231731687303.715884105727", "-170141183460469231731687303.715884105727"},
		{"170141183460469231731687303.715884105728", NULL}, {"170141183460469231731687304", NULL},
		{"999999999999999999999999999999999999999999", NULL},
		{"", NULL}, {"-", NULL}, {".", NULL}, {"-.", NULL}, {"1.", NULL}, {".5", NULL}, {"1.2.3", NULL}, {"1e3", NULL},
		{"NaN", NULL}, {"Infinity", NULL}, {" 1", NULL}, {"1 ", NULL}, {"+1", NULL}, {"--1", NULL}, {"1,5", NULL},
	};
	char text[AMOUNT_TEXT_SIZE];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
	{
		Amount amount = 0;
		bool read = amount_parse(rows[i].text, strlen(rows[i].text), &amount);

		CHECK_CASE(rows[i].text);
		CHECK(read == (rows[i].canonical != NULL));
		if (!read || rows[i].canonical == NULL)
			continue;
		CHECK_INT(amount_print(amount, text), (int64_t) strlen(rows[i].canonical));
		CHECK_TEXT(text, rows[i].canonical);
	}
	CHECK_CASE("");
	CHECK(amount_print(-amount_max - 1, text) < AMOUNT_TEXT_SIZE);
	CHECK_TEXT(text, "-170141183460469231731687303.715884105728");
	CHECK(major("0.5") == 500000000000);
	CHECK(major("-1") == -(Amount) 1000000000000);
}

static void
arithmetic(void)
{
	const Amount two64 = (Amount) 1 << 64;
	Amount result;

	CHECK(amount_add(amount_max, -1, &result) && result == amount_max - 1);
	CHECK(!amount_add(amount_max, 1, &result));
	CHECK(!amount_add(-amount_max, -2, &result));
	CHECK(amount_mul(INT64_MAX, INT64_MAX, &result) && result == (Amount) INT64_MAX * INT64_MAX);
	CHECK(amount_mul(INT64_MIN, INT64_MIN, &result) && result == (Amount) 1 << 126);
	CHECK(amount_mul(two64, 3, &result) && result == 3 * two64);
	CHECK(amount_mul(-3, two64, &result) && result == -3 * two64);
	CHECK(amount_mul(-two64, -3, &result) && result == 3 * two64);
	CHECK(amount_mul(amount_max, 1, &result) && result == amount_max);
	CHECK(amount_mul(amount_max, -1, &result) && result == -amount_max);
	CHECK(amount_mul(0, amount_max, &result) && result == 0);
	CHECK(amount_mul(two64 - 1, two64 / 2, &result) && result == (two64 - 1) * (two64 / 2));
	CHECK(!amount_mul(amount_max, 2, &result));
	CHECK(!amount_mul(amount_max / 2 + 1, 2, &result));
	CHECK(!amount_mul(two64, two64, &result));
	CHECK(!amount_mul(two64, two64 / 2, &result));
	CHECK(!amount_mul((Amount) UINT64_MAX, (Amount) UINT64_MAX, &result));
	CHECK(!amount_mul(-two64, two64, &result));
	CHECK(!amount_mul((Amount) 1 << 100, (Amount) 1 << 40, &result)); /* the high part alone overflows */
	CHECK(amount_mul(two64, two64 / 2 - 1, &result) && result == two64 * (two64 / 2 - 1));
}

static void
posting(void)
{
	static const struct {
		const char *amount;
		int64_t numerator, denominator;
		int exponent;
		int64_t minor;
	} rows[] = {
		{"50000", 1, 1, 0, 50000}, {"50000", 17, 31, 0, 27419}, {"1.005", 1, 1, 2, 101}, {"-1.005", 1, 1, 2, -101},
		{"0.5", 1, 1, 0, 1}, {"-0.5", 1, 1, 0, -1}, {"0.499999999999", 1, 1, 0, 0}, {"-0.499999999999", 1, 1, 0, 0},
		{"1", 1, 2, 0, 1}, {"-1", 1, 2, 0, -1}, {"1", 1, 3, 0, 0}, {"2", 1, 3, 0, 1}, {"12.3456", 1, 1, 4, 123456},
		{"1.2345", 1, 1, 3, 1235}, {"1.2344", 1, 1, 3, 1234}, {"0", 5, 31, 2, 0}, {"7", 0, 31, 2, 0},
		{"9000000", 31, 31, 2, 900000000}, {"9999999.999", 1, 1, 2, 1000000000}, {"9223372.036854775808", 1, 1, 0, 9223372},
		{"18446744.073709551616", 1, 1, 0, 18446744}, {"123456789012345678", 1, 1, 0, 123456789012345678},
		{"9223372036854775807", 1, 1, 0, INT64_MAX}, {"-9223372036854775807.4", 1, 1, 0, -INT64_MAX},
		{"9223372036854775806.5", 1, 1, 0, INT64_MAX}, {"92233720368547758.07", 1, 1, 2, INT64_MAX},
		/* one division only: rounding 10.01 / 2 twice would give 5.01 + 5.01 */
		{"10.01", 15, 30, 2, 501}, {"0.000000000001", 1, 1, 4, 0}, {"0.0275", 2345, 1, 0, 64},
		{"9000000000000", 30, 31, 2, 870967741935484},
	};
	int64_t minor;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
	{
		CHECK_CASE(rows[i].amount);
		CHECK(amount_post(major(rows[i].amount), rows[i].numerator, rows[i].denominator, rows[i].exponent, &minor));
		CHECK_INT(minor, rows[i].minor);
	}
	CHECK_CASE("too large");
	CHECK(!amount_post(major("9223372036854775807.5"), 1, 1, 0, &minor));
	CHECK(!amount_post(major("92233720368547758.08"), 1, 1, 2, &minor));
	CHECK(!amount_post(major("-9223372036854775808"), 1, 1, 0, &minor));
	CHECK(!amount_post(amount_max, 31, 30, 4, &minor));
	CHECK_CASE("");
}

/* Every 64-bit path gives what one exact 128-bit division gives. */
static void
posting_paths_agree(void)
{
	static const int64_t edges[] = {0, 1, 4999999, 5000000, 999999999999, 1000000000000, 1500000000000, INT64_MAX};
	uint64_t state = 20240515;
	int different = 0;

	for (int i = 0; i < 200000; i++)
	{
		int64_t denominator, numerator, minor = -1, expected = -2;
		int exponent = i % 5;
		Amount amount, unit = 1;

		state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
		denominator = 28 + (int64_t) (state >> 33) % 4;
		numerator = (int64_t) (state >> 40) % (denominator + 1);
		amount = i % 3 == 0 ? edges[(state >> 35) % 8] + (Amount) (i % 7) - 3
			   : i % 3 == 1 ? (Amount) (state >> (i % 60)) : (Amount) (state >> (i % 60)) * 1000000000000;
		if (i % 2)
			amount = -amount;
		for (int e = exponent; e < 12; e++)
			unit *= 10;
		if (amount_post(amount, numerator, denominator, exponent, &minor) !=
				money_divide(amount * numerator, unit * denominator, ROUND_HALF_UP, &expected) ||
			(minor != expected && expected != -2))
			different++;
	}
	CHECK_INT(different, 0);
}

/* H3 of the vectors, and every mode on both sides of zero. */
static void
rounding(void)
{
	static const struct {
		const char *name;
		int64_t numerator, denominator;
		int64_t half_up, half_even, up, down, ceil, floor;
	} rows[] = {
		{"H3 2.5", 5, 2, 3, 2, 3, 2, 3, 2},			{"H3 -2.5", -5, 2, -3, -2, -3, -2, -2, -3},
		{"3.5", 7, 2, 4, 4, 4, 3, 4, 3},				{"-3.5", -7, 2, -4, -4, -4, -3, -3, -4},
		{"2.4", 12, 5, 2, 2, 3, 2, 3, 2},				{"-2.4", -12, 5, -2, -2, -3, -2, -2, -3},
		{"2.6", 13, 5, 3, 3, 3, 2, 3, 2},				{"-2.6", -13, 5, -3, -3, -3, -2, -2, -3},
		{"2", 4, 2, 2, 2, 2, 2, 2, 2},					{"-2", -4, 2, -2, -2, -2, -2, -2, -2},
		{"0.5", 1, 2, 1, 0, 1, 0, 1, 0},				{"-0.5", -1, 2, -1, 0, -1, 0, 0, -1},
		{"0", 0, 7, 0, 0, 0, 0, 0, 0},					{"1/3", 1, 3, 0, 0, 1, 0, 1, 0},
	};
	int64_t result;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
	{
		const int64_t *expected = &rows[i].half_up;

		CHECK_CASE(rows[i].name);
		for (int mode = ROUND_HALF_UP; mode <= ROUND_FLOOR; mode++)
		{
			/* the same by wide division */
			const Amount wide = (Amount) 1 << 65;

			CHECK(money_divide(rows[i].numerator, rows[i].denominator, (RoundingMode) mode, &result));
			CHECK_INT(result, expected[mode]);
			CHECK(money_divide(rows[i].numerator * wide, rows[i].denominator * wide, (RoundingMode) mode, &result));
			CHECK_INT(result, expected[mode]);
		}
	}
	CHECK_CASE("");
	CHECK(!money_divide((Amount) INT64_MAX + 1, 1, ROUND_DOWN, &result));
	CHECK(money_divide((Amount) INT64_MAX * 2 + 1, 2, ROUND_DOWN, &result) && result == INT64_MAX);
	CHECK(!money_divide((Amount) INT64_MAX * 2 + 1, 2, ROUND_HALF_UP, &result));
	CHECK(money_divide(amount_max, amount_max, ROUND_HALF_UP, &result) && result == 1);
	CHECK(money_divide(amount_max - 1, amount_max, ROUND_HALF_UP, &result) && result == 1);
	CHECK(money_round_to(87905, 10, ROUND_DOWN, &result) && result == 87900);
	CHECK(money_round_to(-87905, 10, ROUND_DOWN, &result) && result == -87900);
	CHECK(money_round_to(-87905, 10, ROUND_FLOOR, &result) && result == -87910);
	CHECK(money_round_to(12, 5, ROUND_HALF_UP, &result) && result == 10);
	CHECK(money_round_to(13, 5, ROUND_HALF_UP, &result) && result == 15);
	CHECK(money_round_to(7, 1, ROUND_UP, &result) && result == 7);
	CHECK(!money_round_to(INT64_MAX, 10, ROUND_UP, &result));
	CHECK(money_add(INT64_MAX - 1, 1, &result) && result == INT64_MAX);
	CHECK(!money_add(INT64_MAX, 1, &result));
}

/* Largest remainder by its definition, slowly. */
static void
spread_slowly(int64_t total, const int64_t *weights, int64_t *shares, int n)
{
	Amount sum = 0;
	int64_t left = total;
	bool served[64] = {false};

	for (int i = 0; i < n; i++)
		sum += weights[i];
	for (int i = 0; i < n; i++)
	{
		shares[i] = sum == 0 ? 0 : (int64_t) ((Amount) total * weights[i] / sum);
		left -= shares[i];
	}
	for (; left > 0; left--)
	{
		int best = -1;

		for (int i = 0; i < n; i++)
			if (!served[i] &&
				(best < 0 || (Amount) total * weights[i] % sum > (Amount) total * weights[best] % sum))
				best = i;
		served[best] = true;
		shares[best]++;
	}
}

static void
spreading(void)
{
	int64_t shares[64], expected[64], weights[64] = {0};
	uint64_t state = 99;
	int different = 0;

	money_spread(0, weights, shares, 0);
	money_spread(7, (int64_t[]){9}, shares, 1);
	CHECK_INT(shares[0], 7);
	money_spread(0, (int64_t[]){0, 0}, shares, 2);
	CHECK(shares[0] == 0 && shares[1] == 0);
	money_spread(INT64_MAX, (int64_t[]){INT64_MAX / 2, INT64_MAX / 2 + 1}, shares, 2);
	CHECK(shares[0] == INT64_MAX / 2 && shares[1] == INT64_MAX / 2 + 1);
	money_spread(1, (int64_t[]){0, 5, 5}, shares, 3);
	CHECK(shares[0] == 0 && shares[1] == 1 && shares[2] == 0);
	for (int round = 0; round < 20000; round++)
	{
		int n = 2 + round % 60;
		int64_t sum = 0, total, given = 0;
		bool within = true;

		for (int i = 0; i < n; i++)
		{
			state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
			/* small weights make ties, large ones leave 64 bits, zeros are items already discounted away */
			weights[i] = (int64_t) (state >> 8) >> (round % 3 == 0 ? 53 : round % 3 == 1 ? 40 : 5);
			if (state % 5 == 0)
				weights[i] = 0;
			sum += weights[i];
		}
		total = sum == 0 ? 0 : (int64_t) (state >> 1) % (sum + 1);
		money_spread(total, weights, shares, n);
		spread_slowly(total, weights, expected, n);
		for (int i = 0; i < n; i++)
		{
			given += shares[i];
			within &= shares[i] >= 0 && shares[i] <= weights[i] && shares[i] == expected[i];
		}
		different += !within || given != total;
	}
	CHECK_INT(different, 0);
}

int
main(void)
{
	reading();
	arithmetic();
	posting();
	posting_paths_agree();
	rounding();
	spreading();
	return check_done();
}
