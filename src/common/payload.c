/*
 * payload.c: the data of settle's events, as JSON (see payload.h and docs/events/).
 */
#include <string.h>

#include "common/payload.h"
#include "common/ymd.h"

static void
text(Json *json, const char *value)
{
	json_string(json, value, strlen(value));
}

static void
month(Json *json, int32_t day)
{
	char buffer[16];
	const int len = ymd_print_month(day, buffer);

	json_lit(json, "\"");
	json_raw(json, buffer, (size_t) len);
	json_lit(json, "\"");
}

static void
date(Json *json, int32_t day)
{
	char buffer[16];
	const int len = ymd_print_day(day, buffer);

	json_lit(json, "\"");
	json_raw(json, buffer, (size_t) len);
	json_lit(json, "\"");
}

void
payload_bill_begin(Json *json, const PayloadBill *bill)
{
	json_lit(json, "{\"period\":");
	month(json, bill->period);
	json_lit(json, ",\"account_id\":");
	json_int(json, bill->account_id);
	json_lit(json, ",\"revision\":");
	json_int(json, bill->revision);
	json_lit(json, ",\"kind\":");
	text(json, bill->kind);
	json_lit(json, ",\"run_id\":");
	json_int(json, bill->run_id);
	json_lit(json, ",\"currency\":");
	text(json, bill->currency);
	json_lit(json, ",\"exponent\":");
	json_int(json, bill->exponent);
	json_lit(json, ",\"recurring\":");
	json_int(json, bill->recurring);
	json_lit(json, ",\"usage\":");
	json_int(json, bill->usage);
	json_lit(json, ",\"one_off\":");
	json_int(json, bill->one_off);
	json_lit(json, ",\"discount\":");
	json_int(json, bill->discount);
	json_lit(json, ",\"tax\":");
	json_int(json, bill->tax);
	json_lit(json, ",\"included_tax\":");
	json_int(json, bill->included_tax);
	json_lit(json, ",\"rounding\":");
	json_int(json, bill->rounding);
	json_lit(json, ",\"carried\":");
	json_int(json, bill->carried);
	json_lit(json, ",\"arrears\":");
	json_int(json, bill->arrears);
	json_lit(json, ",\"credit_forward\":");
	json_int(json, bill->credit_forward);
	json_lit(json, ",\"total\":");
	json_int(json, bill->total);
	json_lit(json, ",\"due_on\":");
	date(json, bill->due_on);
	json_lit(json, ",\"settled_at\":");
	text(json, bill->settled_at);
	json_lit(json, ",\"lines\":[");
}

void
payload_line(Json *json, const PayloadLine *line, bool first)
{
	if (first)
		json_lit(json, "{\"kind\":");
	else
		json_lit(json, ",{\"kind\":");
	text(json, line->kind);
	if (line->name != NULL)
	{
		json_lit(json, ",\"name\":");
		text(json, line->name);
	}
	if (line->has_product)
	{
		json_lit(json, ",\"product_id\":");
		json_int(json, line->product_id);
	}
	if (line->metric != NULL)
	{
		json_lit(json, ",\"metric\":");
		text(json, line->metric);
	}
	if (line->has_quantity)
	{
		json_lit(json, ",\"quantity\":");
		json_int(json, line->quantity);
	}
	if (line->days != 0)
	{
		json_lit(json, ",\"days\":");
		json_int(json, line->days);
	}
	json_lit(json, ",\"amount\":");
	json_int(json, line->amount);
	json_lit(json, "}");
}

void
payload_bill_end(Json *json)
{
	json_lit(json, "]}");
}

void
payload_run(Json *json, const PayloadRun *run, const char *at_key)
{
	json_lit(json, "{\"period\":");
	month(json, run->period);
	json_lit(json, ",\"run_id\":");
	json_int(json, run->run_id);
	json_lit(json, ",\"kind\":");
	text(json, run->kind);
	json_lit(json, ",\"due\":");
	json_int(json, run->due);
	json_lit(json, ",\"bills\":");
	json_int(json, run->bills);
	json_lit(json, ",\"empty\":");
	json_int(json, run->empty);
	json_lit(json, ",\"skips\":");
	json_int(json, run->skips);
	json_lit(json, ",\"totals\":");
	json_raw(json, run->totals, strlen(run->totals));
	json_lit(json, ",");
	text(json, at_key);
	json_lit(json, ":");
	text(json, run->at);
	json_lit(json, "}");
}
