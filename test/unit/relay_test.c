/*
 * relay_test.c: what settle-relay keeps and sends: the stored position and the envelope.
 *
 * Holds to DESIGN.md §5–6: a position is read back as it was written and anything else is refused, because a wrong one
 * would lose or double events; an envelope is CloudEvents JSON around the payload as it is, in a buffer of any size.
 */
#include <stdlib.h>

#include "check.h"

#include "common/ymd.h"
#include "relay/envelope.h"
#include "relay/position.h"

#define HEAD "{\"version\":1,\"system_id\":\"1\",\"timeline\":1,\"restart_lsn\":\"0/1\",\"commit_lsn\":\"0/1\",\"next_ordinal\":1,"

static void
positions(void)
{
	Position written = {.system_id = "7711810388277259582",
							  .timeline = 4294967295u,
							  .restart_lsn = UINT64_MAX,
							  .commit_lsn = 0x16B3748,
							  .next_ordinal = UINT64_C(18446744073709551615)};
	Position seen;
	char text[POSITION_TEXT_SIZE];
	int len = position_print(&written, text, sizeof(text));

	CHECK(len > 0 && position_parse(text, (size_t) len, &seen) && seen.period_count == 0);
	for (int32_t month = 1; month <= POSITION_PERIODS; month++)
	{
		position_count(&written, ymd_period(9990 + month / 12, month % 12 + 1).from);
		written.periods[month - 1].events = UINT64_MAX;
	}
	len = position_print(&written, text, sizeof(text));
	CHECK(len > 0 && len < (int) sizeof(text));
	CHECK(position_parse(text, (size_t) len, &seen));
	CHECK_TEXT(seen.system_id, written.system_id);
	CHECK_INT(seen.timeline, written.timeline);
	CHECK(seen.restart_lsn == written.restart_lsn && seen.commit_lsn == written.commit_lsn &&
		  seen.next_ordinal == written.next_ordinal);
	CHECK(seen.period_count == POSITION_PERIODS && memcmp(seen.periods, written.periods, sizeof(seen.periods)) == 0);
	for (int cut = 0; cut < len; cut++)
		CHECK(!position_parse(text, (size_t) cut, &seen));

	static const char *const foreign[] = {
		"", "{}", "null", "0/16B3748",
		"{\"version\":2,\"system_id\":\"1\",\"timeline\":1,\"restart_lsn\":\"0/1\",\"commit_lsn\":\"0/1\",\"next_ordinal\":1,\"events\":{}}",
		"{\"version\":1,\"system_id\":\"1\",\"timeline\":1,\"restart_lsn\":\"0/1\",\"commit_lsn\":\"0/1\",\"next_ordinal\":-1,\"events\":{}}",
		"{\"version\":1,\"system_id\":\"1\",\"timeline\":1,\"restart_lsn\":\"0/01\",\"commit_lsn\":\"0/1\",\"next_ordinal\":1,\"events\":{}}",
		"{\"version\":1,\"system_id\":\"1\",\"timeline\":1,\"restart_lsn\":\"0/1\",\"commit_lsn\":\"0/1\",\"next_ordinal\":1,\"events\":{}} ",
		HEAD "\"events\":{\"2024-13\":1}}",
		HEAD "\"events\":{\"2024-5\":1}}",
		HEAD "\"events\":{\"2024-05\":1,}}",
		HEAD "\"events\":{\"2024-05\":1\"2024-06\":1}}",
		HEAD "\"events\":{\"2024-05\":-1}}",
		"{\"version\":1,\"system_id\":\"111111111111111111111\",\"timeline\":1,\"restart_lsn\":\"0/1\",\"commit_lsn\":\"0/1\",\"next_ordinal\":1,\"events\":{}}",
	};
	for (size_t i = 0; i < sizeof(foreign) / sizeof(foreign[0]); i++)
		CHECK(!position_parse(foreign[i], strlen(foreign[i]), &seen));
}

static void
counts(void)
{
	static const int32_t months[] = {300, 300, 100, 300, 200, 100};
	Position position = {0};

	for (size_t i = 0; i < sizeof(months) / sizeof(months[0]); i++)
		position_count(&position, months[i]);
	CHECK_INT(position.period_count, 3);
	CHECK(position.periods[0].period == 100 && position.periods[0].events == 2);
	CHECK(position.periods[1].period == 200 && position.periods[1].events == 1);
	CHECK(position.periods[2].period == 300 && position.periods[2].events == 3);

	/* When it is full the oldest month goes, and one that is older still is not counted. */
	for (int32_t month = 1000; position.period_count < POSITION_PERIODS; month++)
		position_count(&position, month);
	position_count(&position, 50);
	CHECK_INT(position.periods[0].period, 100);
	position_count(&position, 250);
	CHECK_INT(position.period_count, POSITION_PERIODS);
	CHECK(position.periods[0].period == 200 && position.periods[1].period == 250 && position.periods[1].events == 1 &&
		  position.periods[2].period == 300 && position.periods[2].events == 3);
	position_count(&position, 5000);
	CHECK(position.periods[0].period == 250 && position.periods[POSITION_PERIODS - 1].period == 5000);
}

static void
order(void)
{
	const Position position = {.commit_lsn = 100, .next_ordinal = 5};

	CHECK(position_covers(&position, 99, 1000));
	CHECK(position_covers(&position, 100, 4));
	CHECK(!position_covers(&position, 100, 5));
	CHECK(!position_covers(&position, 101, 0));
	CHECK(!position_covers(&(Position){0}, 1, 0));
}

static void
envelopes(void)
{
	static const char payload[] = "{\"total\":1}";
	FrameRow row = {.period = 8887, .created_at = INT64_C(781718400123456), .type = "bill.settled.v1", .id = "bill/\"x\"/0",
					.key = "42", .payload = payload, .payload_len = sizeof(payload) - 1};
	char text[512];

	row.type_len = strlen(row.type);
	row.id_len = strlen(row.id);
	row.key_len = strlen(row.key);
	const size_t len = envelope_write(&row, "settle/seoul", text, sizeof(text));
	text[len] = '\0';
	CHECK_TEXT(text, "{\"specversion\":\"1.0\",\"id\":\"bill/\\\"x\\\"/0\",\"source\":\"settle/seoul\",\"type\":\"bill.settled.v1\","
					 "\"time\":\"2024-10-08T16:00:00.123456Z\",\"subject\":\"42\",\"datacontenttype\":\"application/json\","
					 "\"data\":{\"total\":1}}");
	/* Any size that is too small says what would be enough. */
	for (size_t size = 1; size < len; size++)
	{
		char *small = malloc(size);

		CHECK(envelope_write(&row, "settle/seoul", small, size) >= len);
		free(small);
	}
	row.key_len = 0;
	row.created_at = -1;
	text[envelope_write(&row, "s", text, sizeof(text))] = '\0';
	CHECK(strstr(text, "subject") == NULL);
	CHECK(strstr(text, "1999-12-31T23:59:59.999999Z") != NULL);
}

int
main(void)
{
	positions();
	counts();
	order();
	envelopes();
	return check_done();
}
