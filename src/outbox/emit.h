/*
 * emit.h: outbox rows, written in the transaction of what they tell.
 *
 * Never under the hidden replication origin (store/origin.h): these rows are what logical decoding is for.
 */
#ifndef OUTBOX_EMIT_H
#define OUTBOX_EMIT_H

#include "postgres.h"

#include "batch/run.h"
#include "rate/rate.h"
#include "store/writer.h"

extern const Columns outbox_columns;

/* Events of one chunk. */
typedef struct Emitter {
	Writer *writer;
	MemoryContext context; /* values of one event */
	text *payload;         /* reused from event to event */
	Size payload_size;
	Datum bill_settled; /* event types */
	Datum bill_voided;
	TimestampTz created_at;
	char settled_at[32]; /* RFC 3339, UTC: the run's creation, the same on every attempt */
	const Run *run;
	const Tariff *tariff;
	const char *month; /* 'YYYY-MM' */
} Emitter;

/* Whether the event of a bill is small enough to be written. */
extern bool emit_fits(const Tariff *tariff, const Account *account, const Bill *bill);

extern void emit_open(Emitter *emitter, const Run *run, const Tariff *tariff, Oid outbox);
extern void emit_bill(Emitter *emitter, const Account *account, int16 revision, const Bill *bill, int32 due_on);

/* What is known of a bill that is taken back. */
typedef struct VoidBill {
	int64 account_id;
	int16 revision; /* of the void bill */
	int16 exponent;
	const char *currency;
	int32 due_on;
} VoidBill;

extern void emit_void(Emitter *emitter, const VoidBill *bill);
extern void emit_close(Emitter *emitter);

/* run.completed.v1 (what = "completed") or run.released.v1 ("released"); inside a transaction with SPI connected. */
extern void emit_run(int64 run_id, const char *what);

#endif
