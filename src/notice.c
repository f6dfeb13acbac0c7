/*
 * notice.c: what keeps the states of notices right, whoever writes them.
 *
 * A notice that may have been on the wire must not go out again because somebody meant well with an UPDATE. So the trigger
 * lets nobody change a state but settle-notifier and the functions for operators, which say so in settle.notice_writer, and
 * these only by the steps of common/notice.h. What a notice is (account, bill, channel, payload) never changes.
 */
#include "compat.h"

#include "access/htup_details.h"
#include "catalog/pg_enum.h"
#include "commands/trigger.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/rel.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#include "common/notice.h"
#include "errcodes.h"
#include "guc.h"

PG_FUNCTION_INFO_V1(settle_notice_guard);
PG_FUNCTION_INFO_V1(settle_notice_steps);

static const char *const fixed_columns[] = {"notice_id", "account_id", "run_id", "period", "revision", "generation", "kind",
											"channel", "payload"};

/* ---- rows --------------------------------------------------------------------------------------------------------- */

static Datum
column(const TriggerData *trigger, HeapTuple tuple, const char *name, bool *null, int16 *number)
{
	const TupleDesc descriptor = RelationGetDescr(trigger->tg_relation);

	*number = (int16) SPI_fnumber(descriptor, name);
	if (*number <= 0)
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_COLUMN), errmsg("a notice has no column \"%s\"", name)));
	return heap_getattr(tuple, *number, descriptor, null);
}

static NoticeState
state_of(const TriggerData *trigger, HeapTuple tuple)
{
	bool null;
	int16 number;
	const Datum value = column(trigger, tuple, "state", &null, &number);
	NoticeState state = NOTICE_HELD;

	if (null)
		ereport(ERROR, (errcode(ERRCODE_NOT_NULL_VIOLATION), errmsg("a notice has a state")));
	HeapTuple label = SearchSysCache1(ENUMOID, value);
	if (!HeapTupleIsValid(label) || !notice_state_parse(NameStr(((Form_pg_enum) GETSTRUCT(label))->enumlabel), &state))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("this state of a notice is unknown")));
	ReleaseSysCache(label);
	return state;
}

static int64
id_of(const TriggerData *trigger)
{
	bool null;
	int16 number;

	return DatumGetInt64(column(trigger, trigger->tg_trigtuple, "notice_id", &null, &number));
}

/* ---- checks ------------------------------------------------------------------------------------------------------- */

static void
check_step(const TriggerData *trigger, NoticeState before, NoticeState after)
{
	const NoticeStep step = notice_step(before, after);

	if (guc_notice_writer == NOTICE_WRITER_NONE)
		ereport(ERROR, (errcode(ERRCODE_SETTLE_NOTICE_STEP),
						errmsg("the state of notice " INT64_FORMAT " is not changed by hand", id_of(trigger)),
						errdetail("It may have been sent already."),
						errhint("Use settle_notice_retry(), _resolve(), _resend() or _cancel().")));
	if (step == STEP_FORBIDDEN || (step == STEP_OPERATOR && guc_notice_writer != NOTICE_WRITER_OPERATOR))
		ereport(ERROR, (errcode(ERRCODE_SETTLE_NOTICE_STEP),
						errmsg("notice " INT64_FORMAT " cannot go from %s to %s", id_of(trigger), notice_state_name(before),
							   notice_state_name(after)),
						errhint("settle.notice_steps() has the steps.")));
}

/* An update that leaves a value alone leaves its bytes alone; only other bytes are worth looking into. */
static bool
is_same(Datum before, Datum after, const FormData_pg_attribute *attribute)
{
	if (attribute->attlen == -1 && VARSIZE_ANY(DatumGetPointer(before)) == VARSIZE_ANY(DatumGetPointer(after)) &&
		memcmp(DatumGetPointer(before), DatumGetPointer(after), VARSIZE_ANY(DatumGetPointer(before))) == 0)
		return true;
	return datum_image_eq(before, after, attribute->attbyval, attribute->attlen);
}

static void
check_fixed(const TriggerData *trigger)
{
	const TupleDesc descriptor = RelationGetDescr(trigger->tg_relation);

	for (size_t i = 0; i < lengthof(fixed_columns); i++)
	{
		bool null_before, null_after;
		int16 number;
		const Datum before = column(trigger, trigger->tg_trigtuple, fixed_columns[i], &null_before, &number);
		const Datum after = column(trigger, trigger->tg_newtuple, fixed_columns[i], &null_after, &number);
		const Form_pg_attribute attribute = TupleDescAttr(descriptor, number - 1);

		if (null_before != null_after || (!null_before && !is_same(before, after, attribute)))
			ereport(ERROR, (errcode(ERRCODE_SETTLE_NOTICE_STEP),
							errmsg("%s of notice " INT64_FORMAT " cannot be changed", fixed_columns[i], id_of(trigger))));
	}
}

static void
check_fence(const TriggerData *trigger)
{
	bool null;
	int16 number;
	const int64 before = DatumGetInt64(column(trigger, trigger->tg_trigtuple, "fence", &null, &number));
	const int64 after = DatumGetInt64(column(trigger, trigger->tg_newtuple, "fence", &null, &number));

	if (after < before)
		ereport(ERROR, (errcode(ERRCODE_SETTLE_NOTICE_STEP), errmsg("the fence of notice " INT64_FORMAT " never falls", id_of(trigger))));
}

Datum
settle_notice_guard(PG_FUNCTION_ARGS)
{
	const TriggerData *trigger = (TriggerData *) fcinfo->context;
	bool null;
	int16 number;

	if (!CALLED_AS_TRIGGER(fcinfo) || !TRIGGER_FIRED_BY_UPDATE(trigger->tg_event) || !TRIGGER_FIRED_BEFORE(trigger->tg_event))
		ereport(ERROR, (errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED), errmsg("settle.notice_guard() is a trigger BEFORE UPDATE")));
	const NoticeState before = state_of(trigger, trigger->tg_trigtuple);
	const NoticeState after = state_of(trigger, trigger->tg_newtuple);
	if (before != after)
		check_step(trigger, before, after);
	check_fixed(trigger);
	check_fence(trigger);

	(void) column(trigger, trigger->tg_newtuple, "updated_at", &null, &number);
	int columns[] = {number};
	Datum values[] = {TimestampTzGetDatum(GetCurrentTimestamp())};
	bool nulls[] = {false};
	PG_RETURN_POINTER(heap_modify_tuple_by_cols(trigger->tg_newtuple, RelationGetDescr(trigger->tg_relation), 1, columns, values, nulls));
}

Datum
settle_notice_steps(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;

	init_materialized_srf(fcinfo);
	AttInMetadata *input = TupleDescGetAttInMetadata(result->setDesc);
	for (int before = 0; before < NOTICE_STATES; before++)
		for (int after = 0; after < NOTICE_STATES; after++)
		{
			const NoticeStep step = notice_step((NoticeState) before, (NoticeState) after);
			char *values[] = {(char *) notice_state_name((NoticeState) before), (char *) notice_state_name((NoticeState) after),
							  step == STEP_OPERATOR ? "operator" : "notifier"};

			if (step != STEP_FORBIDDEN)
				tuplestore_puttuple(result->setResult, BuildTupleFromCStrings(input, values));
		}
	return (Datum) 0;
}
