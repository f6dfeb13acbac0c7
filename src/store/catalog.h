/*
 * catalog.h: the catalogue tables as a read-only Tariff.
 *
 * Loaded once per worker and run, in one snapshot. Bad rows are not errors here: they are marked, and only the accounts
 * that meet them are skipped. The fingerprint covers every column of every catalogue row that rating reads.
 */
#ifndef STORE_CATALOG_H
#define STORE_CATALOG_H

#include "postgres.h"

#include "rate/rate.h"

#define FINGERPRINT_SIZE 33 /* 32 hex digits and the end */

typedef struct Catalog {
	Tariff tariff;
	char fingerprint[FINGERPRINT_SIZE];
} Catalog;

/* Reads the catalogue into the current memory context. Inside a transaction with SPI connected. */
extern Catalog *catalog_load(void);

/* Errors, naming the table, when currency, product or price has no row. */
extern void catalog_check(const Catalog *catalog);

/* Index of a code in the tariff; -1 for NULL, -2 when unknown. */
extern int32 catalog_currency(const Tariff *tariff, const char *code, size_t len);
extern int32 catalog_tax(const Tariff *tariff, const char *code, size_t len);

#endif
