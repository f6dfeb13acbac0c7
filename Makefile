# settle: monthly rating and settlement inside PostgreSQL.
#
#   make && make install      build against the PostgreSQL that pg_config names
#   make installcheck         regression and isolation tests against a running server
#   scripts/test              everything: installs what it needs, starts its own servers

EXTENSION = settle
MODULE_big = settle

OBJS = \
	src/settle.o src/guc.o src/api.o src/launcher.o src/functions.o src/quote.o src/preview.o src/contact.o src/template.o src/notice.o src/due.o \
	src/common/money.o src/common/ymd.o src/common/reason.o src/common/json.o src/common/jsonread.o src/common/payload.o src/common/frame.o src/common/mask.o src/common/seal.o src/common/notice.o src/common/template.o src/common/vocabulary.o \
	src/rate/tariff.o src/rate/recurring.o src/rate/usage.o src/rate/discount.o src/rate/tax.o src/rate/bill.o src/rate/quote.o \
	src/batch/run.o src/batch/leader.o src/batch/worker.o src/batch/slice.o src/batch/chunk.o src/batch/retry.o src/batch/skip.o \
	src/batch/log.o src/batch/command.o src/batch/progress.o \
	src/store/sql.o src/store/reader.o src/store/collect.o src/store/groups.o src/store/catalog.o src/store/writer.o src/store/origin.o src/store/settlement.o src/store/results.o src/store/void.o \
	src/store/leaves.o src/store/columns.o src/store/ingest.o src/store/verify.o src/store/seen.o src/store/matching.o \
	src/outbox/emit.o src/outbox/plugin.o

SQL_PARTS = $(sort $(wildcard src/sql/*.sql))
DATA_built = settle--1.0.sql

PG_CPPFLAGS = -I$(srcdir)/src
SHLIB_LINK = -lcrypto
# -MMD -MP: PGXS tracks no headers by itself. Not in CPPFLAGS, which the bitcode rule also uses.
PG_CFLAGS = -std=gnu11 -Wall -Wextra -Wno-unused-parameter -Wno-sign-compare -Wno-missing-field-initializers \
	-Wno-declaration-after-statement -Wno-cast-function-type -MMD -MP

REGRESS = $(patsubst test/sql/%.sql,%,$(sort $(wildcard test/sql/*.sql)))
REGRESS_OPTS = --inputdir=test --load-extension=settle

# The fixture comes first: the other specs call what it leaves in the database.
ISOLATION = fixture $(filter-out fixture,$(patsubst test/isolation/specs/%.spec,%,$(sort $(wildcard test/isolation/specs/*.spec))))
# Expected output lies beside them; from 16 on that has to be said.
ISOLATION_OPTS = --inputdir=test/isolation $(if $(filter-out 14 15,$(MAJORVERSION)),--expecteddir=test/isolation)

EXTRA_CLEAN = $(OBJS:.o=.d) settle--1.0.sql results regression.diffs regression.out output_iso tmp_check

PG_CONFIG ?= pg_config
PGXS := $(shell $(PG_CONFIG) --pgxs)
include $(PGXS)

settle--1.0.sql: $(SQL_PARTS)
	cat $(SQL_PARTS) > $@

-include $(OBJS:.o=.d)
