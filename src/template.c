/*
 * template.c: templates of notices for SQL: what is wrong with one, and what names it can use.
 *
 * The same compiler serves the notifier, so a template that is saved is one that the notifier takes.
 */
#include "compat.h"

#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"

#include "common/vocabulary.h"

PG_FUNCTION_INFO_V1(settle_template_fault);
PG_FUNCTION_INFO_V1(settle_template_names);

static const TemplateVocabulary *
get_vocabulary(const char *kind)
{
	const TemplateVocabulary *vocabulary = vocabulary_of(kind);

	if (vocabulary == NULL)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("unknown kind of notice: \"%s\"", kind),
						errhint("bill, rebill or void.")));
	return vocabulary;
}

/* NULL when there is no fault. */
Datum
settle_template_fault(PG_FUNCTION_ARGS)
{
	const TemplateVocabulary *vocabulary = get_vocabulary(text_to_cstring(PG_GETARG_TEXT_PP(0)));
	const char *part = text_to_cstring(PG_GETARG_TEXT_PP(1));
	const text *body = PG_GETARG_TEXT_PP(2);
	const Size len = VARSIZE_ANY_EXHDR(body);
	TemplateOp *ops = palloc(sizeof(TemplateOp) * TEMPLATE_OPS_BOUND(Min(len, TEMPLATE_TEXT_MAX)));
	Template template;
	TemplateFault fault;

	if (template_compile(&template, VARDATA_ANY(body), len, vocabulary, notice_part_mode(part), ops, &fault))
		PG_RETURN_NULL();
	if (fault.line == 0)
		PG_RETURN_TEXT_P(cstring_to_text(psprintf("%s: %s", part, fault.text)));
	PG_RETURN_TEXT_P(cstring_to_text(psprintf("%s, line %u, column %u: %s", part, fault.line, fault.column, fault.text)));
}

static Datum
text_datum(const char *text)
{
	return PointerGetDatum(cstring_to_text(text));
}

Datum
settle_template_names(PG_FUNCTION_ARGS)
{
	static const char *const types[] = {"value", "optional", "flag", "list"};
	const TemplateVocabulary *vocabulary = get_vocabulary(text_to_cstring(PG_GETARG_TEXT_PP(0)));
	const ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;

	init_materialized_srf(fcinfo);
	for (int i = 0; i < vocabulary->count; i++)
	{
		const TemplateName *name = &vocabulary->names[i];
		Datum values[4] = {text_datum(name->name), text_datum(types[name->type]), 0, text_datum(name->about)};
		bool nulls[4] = {false, false, true, false};

		for (int list = 0; list < vocabulary->top; list++)
			if (vocabulary->names[list].type == TEMPLATE_LIST && i >= vocabulary->names[list].first &&
				i < vocabulary->names[list].first + vocabulary->names[list].count)
			{
				values[2] = text_datum(vocabulary->names[list].name);
				nulls[2] = false;
			}
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
	return (Datum) 0;
}
