/*
 * void.c: takes the bills of a run back, in the transaction of the caller (settle_abandon).
 *
 * A bill is never deleted: a revision of kind void follows it, with its event, and the next run gives the account a new
 * bill. Only the newest revision of an account can be voided, so doing it twice changes nothing. It uses the writers of a
 * run, so a million bills take seconds; memory is a batch of rows and the ids of one bucket.
 */
#include "compat.h"

#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/memutils.h"

#include "store/leaves.h"
#include "store/results.h"
#include "store/settlement.h"
#include "store/sql.h"

PG_FUNCTION_INFO_V1(settle_void_bills);

typedef struct Voiding {
	VoidBill *bills;
	int64 count;
	int64 space;
} Voiding;

static const Column bill_list[] = {
	{"account_id", "bigint"}, {"revision", "smallint"}, {"exponent", "smallint"}, {"currency", "text"}, {"due_on", "date"},
};

static void
bill_row(TupleTableSlot *slot, void *arg)
{
	Voiding *voiding = arg;

	if (voiding->count == voiding->space)
	{
		voiding->space *= 2;
		voiding->bills = repalloc_huge(voiding->bills, voiding->space * sizeof(VoidBill));
	}
	MemoryContext caller = MemoryContextSwitchTo(GetMemoryChunkContext(voiding->bills));
	voiding->bills[voiding->count++] = (VoidBill){
		.account_id = DatumGetInt64(slot->tts_values[0]),
		.revision = DatumGetInt16(slot->tts_values[1]) + 1,
		.exponent = DatumGetInt16(slot->tts_values[2]),
		.currency = text_to_cstring(DatumGetTextPP(slot->tts_values[3])),
		.due_on = DatumGetDateADT(slot->tts_values[4]),
	};
	MemoryContextSwitchTo(caller);
}

static int64
void_bucket(const Run *run, const LabelValues *labels, int bucket)
{
	const Tariff no_tariff = {0};
	Voiding voiding = {.space = 1024};
	SqlParams params = {0};
	const char *leaf = leaf_name_of_month("bill", run->period.from, bucket);
	const Columns columns = {leaf, lengthof(bill_list), bill_list};

	voiding.bills = palloc(voiding.space * sizeof(VoidBill));
	sql_add_int8(&params, run->run_id);
	sql_read(psprintf("SELECT b.account_id, b.revision, b.exponent, b.currency, b.due_on FROM %s AS b"
					  " WHERE b.run_id = $1 AND b.kind <> 'void' AND NOT EXISTS (SELECT FROM %s AS newer"
					  "  WHERE newer.account_id = b.account_id AND newer.revision > b.revision)"
					  " ORDER BY b.account_id",
					  leaf, leaf),
			 &params, &columns, bill_row, &voiding);
	if (voiding.count == 0)
		return 0;

	Results *results = results_open(run, &no_tariff, labels, bucket);
	for (int64 i = 0; i < voiding.count; i++)
		results_void(results, &voiding.bills[i]);
	results_close(results);
	return voiding.count;
}

Datum
settle_void_bills(PG_FUNCTION_ARGS)
{
	MemoryContext bucket_context = AllocSetContextCreate(CurrentMemoryContext, "settle voids", ALLOCSET_DEFAULT_SIZES);
	LabelValues labels;
	int64 count = 0;

	sql_enter();
	const Run *run = run_load(PG_GETARG_INT64(0));
	const int buckets = settlement_check_month(run->period);

	leaves_check(run->period.from, ALL_BUCKETS);
	results_check(run->period.from);
	results_load_labels(&labels);
	for (int bucket = 0; bucket < buckets; bucket++)
	{
		MemoryContext caller = MemoryContextSwitchTo(bucket_context);

		CHECK_FOR_INTERRUPTS();
		count += void_bucket(run, &labels, bucket);
		MemoryContextSwitchTo(caller);
		MemoryContextReset(bucket_context);
	}
	sql_leave();
	PG_RETURN_INT64(count);
}
