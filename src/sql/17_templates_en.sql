-- ------------------------------------------------------------------------------------------------------------------
-- 17 Templates that come with settle: English
--
-- A bill and one that replaces an earlier bill have the same texts; `revised` makes the difference. Mail clients know no
-- style sheets worth the name: tables and inline styles, and a few classes for dark colours. Nothing is loaded from outside.
-- ------------------------------------------------------------------------------------------------------------------

INSERT INTO settle.template (template_id, kind, channel, locale, version, created_by, created_at, subject, html, text) OVERRIDING SYSTEM VALUE
SELECT k.id, k.kind, 'email', 'en', 0, NULL, NULL,
	$bill_subject${{company}}: {{#revised}}corrected bill for {{/revised}}{{^revised}}your bill for {{/revised}}{{month}}$bill_subject$,
	$bill_html$<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="supported-color-schemes" content="light dark">
<title>Your {{#revised}}corrected {{/revised}}bill for {{month}}</title>
<style>
@media (prefers-color-scheme: dark) {
.page { background: #101214 !important } .card { background: #1b1e22 !important }
.ink { color: #f1f3f5 !important } .dim { color: #a5adb6 !important } .less { color: #5fd08a !important }
.rule { border-color: #343a41 !important } .band { background: #262a30 !important }
}
</style>
</head>
<body class="page" style="margin:0;padding:0;background:#f2f4f6;-webkit-text-size-adjust:100%">
<div style="display:none;max-height:0;overflow:hidden;mso-hide:all">{{total}} for {{month}}{{^nothing_due}}, due {{due_on}}{{/nothing_due}}</div>
<table role="presentation" class="page" width="100%" cellpadding="0" cellspacing="0" border="0" style="background:#f2f4f6">
<tr><td align="center" style="padding:24px 12px">
<table role="presentation" class="card" width="100%" cellpadding="0" cellspacing="0" border="0" style="max-width:600px;background:#ffffff;border-radius:12px">
<tr><td class="dim" style="padding:28px 28px 0;font-family:-apple-system,'Segoe UI',Roboto,Helvetica,Arial,sans-serif;font-size:14px;line-height:20px;color:#5f6873">{{company}}</td></tr>
<tr><td class="ink" style="padding:4px 28px 0;font-family:-apple-system,'Segoe UI',Roboto,Helvetica,Arial,sans-serif;font-size:22px;line-height:30px;font-weight:bold;color:#1a1d21">Your {{#revised}}corrected {{/revised}}bill for {{month}}</td></tr>
{{#customer_name}}
<tr><td class="ink" style="padding:16px 28px 0;font-family:-apple-system,'Segoe UI',Roboto,Helvetica,Arial,sans-serif;font-size:15px;line-height:24px;color:#1a1d21">Dear {{customer_name}},</td></tr>
{{/customer_name}}
{{#revised}}
<tr><td class="ink" style="padding:16px 28px 0;font-family:-apple-system,'Segoe UI',Roboto,Helvetica,Arial,sans-serif;font-size:15px;line-height:24px;color:#1a1d21">This bill corrects the one we sent you before for {{month}}. Please disregard the earlier bill: only the amount below is due.</td></tr>
{{/revised}}
<tr><td style="padding:20px 28px 0">
<table role="presentation" class="band" width="100%" cellpadding="0" cellspacing="0" border="0" style="background:#f6f8fa;border-radius:8px">
<tr><td class="dim" style="padding:16px 20px 0;font-family:-apple-system,'Segoe UI',Roboto,Helvetica,Arial,sans-serif;font-size:14px;line-height:20px;color:#5f6873">Amount due</td></tr>
<tr><td class="ink" style="padding:2px 20px 0;font-family:-apple-system,'Segoe UI',Roboto,Helvetica,Arial,sans-serif;font-size:30px;line-height:40px;font-weight:bold;color:#1a1d21">{{total}}</td></tr>
<tr><td class="dim" style="padding:2px 20px 16px;font-family:-apple-system,'Segoe UI',Roboto,Helvetica,Arial,sans-serif;font-size:14px;line-height:20px;color:#5f6873">{{#nothing_due}}There is nothing to pay.{{/nothing_due}}{{^nothing_due}}Please pay by {{due_on}}{{/nothing_due}}</td></tr>
</table>
</td></tr>
{{#pay_url}}
{{^nothing_due}}
<tr><td align="center" style="padding:20px 28px 0">
<table role="presentation" cellpadding="0" cellspacing="0" border="0"><tr><td align="center" bgcolor="#1f5eff" style="border-radius:8px">
<a href="{{pay_url}}" style="display:inline-block;padding:13px 32px;font-family:-apple-system,'Segoe UI',Roboto,Helvetica,Arial,sans-serif;font-size:16px;line-height:22px;font-weight:bold;color:#ffffff;text-decoration:none">Pay now</a>
</td></tr></table>
</td></tr>
{{/nothing_due}}
{{/pay_url}}
<tr><td style="padding:24px 28px 8px">
<table width="100%" cellpadding="0" cellspacing="0" border="0" style="border-collapse:collapse">
{{#lines}}
{{#group}}
<tr>
<td class="ink" valign="top" style="padding:18px 8px 6px 0;font-family:-apple-system,'Segoe UI',Roboto,Helvetica,Arial,sans-serif;font-size:15px;line-height:22px;font-weight:bold;color:#1a1d21">{{#in_recurring}}Monthly charges{{/in_recurring}}{{#in_usage}}Usage{{/in_usage}}{{#in_one_off}}One-off charges and credits{{/in_one_off}}{{#in_discount}}Discounts{{/in_discount}}{{#in_tax}}Tax{{/in_tax}}{{#in_other}}Other{{/in_other}}</td>
<td class="ink" align="right" valign="top" style="padding:18px 0 6px;font-family:-apple-system,'Segoe UI',Roboto,Helvetica,Arial,sans-serif;font-size:15px;line-height:22px;font-weight:bold;white-space:nowrap;color:#1a1d21">{{#in_recurring}}{{#recurring}}{{recurring}}{{/recurring}}{{/in_recurring}}{{#in_usage}}{{#usage}}{{usage}}{{/usage}}{{/in_usage}}{{#in_one_off}}{{#one_off}}{{one_off}}{{/one_off}}{{/in_one_off}}{{#in_discount}}{{#discount}}{{discount}}{{/discount}}{{/in_discount}}{{#in_tax}}{{#tax}}{{tax}}{{/tax}}{{/in_tax}}</td>
</tr>
{{/group}}
<tr>
<td class="ink rule" style="padding:8px 8px 8px 0;border-top:1px solid #e4e7eb;font-family:-apple-system,'Segoe UI',Roboto,Helvetica,Arial,sans-serif;font-size:14px;line-height:20px;overflow-wrap:break-word;color:#1a1d21">{{#name}}{{name}}{{/name}}{{#is_rounding}}Rounding{{/is_rounding}}{{#is_carried}}Credit from earlier months{{/is_carried}}{{#is_arrears}}Unpaid from earlier months{{/is_arrears}}{{#is_credit_forward}}Credit carried to next month{{/is_credit_forward}}{{#is_minimum}} – minimum charge{{/is_minimum}}{{#is_maximum}} – maximum charge applied{{/is_maximum}}{{#in_usage}}{{#quantity}}<br><span class="dim" style="font-size:13px;color:#5f6873">{{quantity}}</span>{{/quantity}}{{/in_usage}}{{#several}}{{#quantity}}<br><span class="dim" style="font-size:13px;color:#5f6873">Quantity {{quantity}}</span>{{/quantity}}{{/several}}{{#part_month}}{{#days}}<br><span class="dim" style="font-size:13px;color:#5f6873">{{days}} days</span>{{/days}}{{/part_month}}</td>
<td class="rule {{#negative}}less{{/negative}}{{^negative}}ink{{/negative}}" align="right" valign="top" style="padding:8px 0;border-top:1px solid #e4e7eb;font-family:-apple-system,'Segoe UI',Roboto,Helvetica,Arial,sans-serif;font-size:14px;line-height:20px;white-space:nowrap;{{#negative}}color:#0b7a3e{{/negative}}{{^negative}}color:#1a1d21{{/negative}}">{{#is_included_tax}}included{{/is_included_tax}}{{^is_included_tax}}{{amount}}{{/is_included_tax}}</td>
</tr>
{{/lines}}
<tr>
<td class="ink rule" style="padding:16px 8px 16px 0;border-top:2px solid #1a1d21;font-family:-apple-system,'Segoe UI',Roboto,Helvetica,Arial,sans-serif;font-size:16px;line-height:24px;font-weight:bold;color:#1a1d21">Total</td>
<td class="ink rule" align="right" style="padding:16px 0;border-top:2px solid #1a1d21;font-family:-apple-system,'Segoe UI',Roboto,Helvetica,Arial,sans-serif;font-size:16px;line-height:24px;font-weight:bold;white-space:nowrap;color:#1a1d21">{{total}}</td>
</tr>
{{#included_tax}}
<tr><td class="dim" colspan="2" align="right" style="padding:0 0 16px;font-family:-apple-system,'Segoe UI',Roboto,Helvetica,Arial,sans-serif;font-size:13px;line-height:20px;color:#5f6873">Tax of {{included_tax}} is included in these prices.</td></tr>
{{/included_tax}}
</table>
</td></tr>
<tr><td class="dim rule" style="padding:16px 28px 28px;border-top:1px solid #e4e7eb;font-family:-apple-system,'Segoe UI',Roboto,Helvetica,Arial,sans-serif;font-size:13px;line-height:20px;color:#5f6873">Account {{account}}{{#support}}<br>Questions? {{support}}{{/support}}</td></tr>
</table>
</td></tr>
</table>
</body>
</html>$bill_html$,
	$bill_text${{company}}
Your {{#revised}}corrected {{/revised}}bill for {{month}}

{{#customer_name}}
Dear {{customer_name}},

{{/customer_name}}
{{#revised}}
This bill corrects the one we sent you before for {{month}}. Please disregard the earlier bill: only the amount below is due.

{{/revised}}
Amount due: {{total}}
{{#nothing_due}}
There is nothing to pay.
{{/nothing_due}}
{{^nothing_due}}
Please pay by {{due_on}}
{{#pay_url}}
Pay now: {{pay_url}}
{{/pay_url}}
{{/nothing_due}}
{{#lines}}
{{#group}}

{{#in_recurring}}Monthly charges{{/in_recurring}}{{#in_usage}}Usage{{/in_usage}}{{#in_one_off}}One-off charges and credits{{/in_one_off}}{{#in_discount}}Discounts{{/in_discount}}{{#in_tax}}Tax{{/in_tax}}{{#in_other}}Other{{/in_other}}
{{/group}}
- {{#name}}{{name}}{{/name}}{{#is_rounding}}Rounding{{/is_rounding}}{{#is_carried}}Credit from earlier months{{/is_carried}}{{#is_arrears}}Unpaid from earlier months{{/is_arrears}}{{#is_credit_forward}}Credit carried to next month{{/is_credit_forward}}{{#is_minimum}} – minimum charge{{/is_minimum}}{{#is_maximum}} – maximum charge applied{{/is_maximum}}{{#in_usage}}{{#quantity}}, {{quantity}}{{/quantity}}{{/in_usage}}{{#several}}{{#quantity}}, Quantity {{quantity}}{{/quantity}}{{/several}}{{#part_month}}{{#days}}, {{days}} days{{/days}}{{/part_month}}: {{#is_included_tax}}included{{/is_included_tax}}{{^is_included_tax}}{{amount}}{{/is_included_tax}}
{{/lines}}

Total: {{total}}
{{#included_tax}}
Tax of {{included_tax}} is included in these prices.
{{/included_tax}}

Account {{account}}
{{#support}}
Questions? {{support}}
{{/support}}
$bill_text$
FROM (VALUES (1, 'bill'), (2, 'rebill')) AS k (id, kind);

INSERT INTO settle.template (template_id, kind, channel, locale, version, created_by, created_at, subject, html, text) OVERRIDING SYSTEM VALUE
VALUES (3, 'void', 'email', 'en', 0, NULL, NULL,
	$void_subject${{company}}: your bill for {{month}} was cancelled$void_subject$,
	$void_html$<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="supported-color-schemes" content="light dark">
<title>Your bill for {{month}} was cancelled</title>
<style>
@media (prefers-color-scheme: dark) {
.page { background: #101214 !important } .card { background: #1b1e22 !important }
.ink { color: #f1f3f5 !important } .dim { color: #a5adb6 !important } .less { color: #5fd08a !important }
.rule { border-color: #343a41 !important } .band { background: #262a30 !important }
}
</style>
</head>
<body class="page" style="margin:0;padding:0;background:#f2f4f6;-webkit-text-size-adjust:100%">
<table role="presentation" class="page" width="100%" cellpadding="0" cellspacing="0" border="0" style="background:#f2f4f6">
<tr><td align="center" style="padding:24px 12px">
<table role="presentation" class="card" width="100%" cellpadding="0" cellspacing="0" border="0" style="max-width:600px;background:#ffffff;border-radius:12px">
<tr><td class="dim" style="padding:28px 28px 0;font-family:-apple-system,'Segoe UI',Roboto,Helvetica,Arial,sans-serif;font-size:14px;line-height:20px;color:#5f6873">{{company}}</td></tr>
<tr><td class="ink" style="padding:4px 28px 0;font-family:-apple-system,'Segoe UI',Roboto,Helvetica,Arial,sans-serif;font-size:22px;line-height:30px;font-weight:bold;color:#1a1d21">Your bill for {{month}} was cancelled</td></tr>
{{#customer_name}}
<tr><td class="ink" style="padding:16px 28px 0;font-family:-apple-system,'Segoe UI',Roboto,Helvetica,Arial,sans-serif;font-size:15px;line-height:24px;color:#1a1d21">Dear {{customer_name}},</td></tr>
{{/customer_name}}
<tr><td class="ink" style="padding:16px 28px 0;font-family:-apple-system,'Segoe UI',Roboto,Helvetica,Arial,sans-serif;font-size:15px;line-height:24px;color:#1a1d21">The bill for {{month}} that we sent you before was cancelled. You do not owe anything on it.</td></tr>
<tr><td class="ink" style="padding:16px 28px 0;font-family:-apple-system,'Segoe UI',Roboto,Helvetica,Arial,sans-serif;font-size:15px;line-height:24px;color:#1a1d21">If a new bill is issued for that month we will let you know. If you have paid already, please do not pay again; we will settle it with you.</td></tr>
<tr><td style="padding:0 0 20px;font-size:0;line-height:0">&nbsp;</td></tr>
<tr><td class="dim rule" style="padding:16px 28px 28px;border-top:1px solid #e4e7eb;font-family:-apple-system,'Segoe UI',Roboto,Helvetica,Arial,sans-serif;font-size:13px;line-height:20px;color:#5f6873">Account {{account}}{{#support}}<br>Questions? {{support}}{{/support}}</td></tr>
</table>
</td></tr>
</table>
</body>
</html>$void_html$,
	$void_text${{company}}
Your bill for {{month}} was cancelled

{{#customer_name}}
Dear {{customer_name}},

{{/customer_name}}
The bill for {{month}} that we sent you before was cancelled. You do not owe anything on it.

If a new bill is issued for that month we will let you know. If you have paid already, please do not pay again; we will settle it with you.

Account {{account}}
{{#support}}
Questions? {{support}}
{{/support}}
$void_text$);

-- SMS within one segment: 160 characters of the GSM alphabet, which has no won sign.
INSERT INTO settle.template (template_id, kind, channel, locale, version, created_by, created_at, text) OVERRIDING SYSTEM VALUE
SELECT k.id, k.kind, 'sms', 'en', 0, NULL, NULL,
	$bill_sms${{company}}: your {{#revised}}corrected {{/revised}}bill for {{month}} is {{total_plain}}{{^nothing_due}}, due {{due_day}}{{/nothing_due}}.$bill_sms$
FROM (VALUES (4, 'bill'), (5, 'rebill')) AS k (id, kind);

INSERT INTO settle.template (template_id, kind, channel, locale, version, created_by, created_at, text) OVERRIDING SYSTEM VALUE
VALUES (6, 'void', 'sms', 'en', 0, NULL, NULL,
	$void_sms${{company}}: your bill for {{month}} was cancelled. You owe nothing on it.$void_sms$);

INSERT INTO settle.template (template_id, kind, channel, locale, version, created_by, created_at, title, body) OVERRIDING SYSTEM VALUE
SELECT k.id, k.kind, 'push', 'en', 0, NULL, NULL,
	$bill_title$Your {{#revised}}corrected {{/revised}}bill for {{month}}$bill_title$,
	$bill_body${{#nothing_due}}There is nothing to pay.{{/nothing_due}}{{^nothing_due}}{{total}}, due {{due_day}}{{/nothing_due}}$bill_body$
FROM (VALUES (7, 'bill'), (8, 'rebill')) AS k (id, kind);

INSERT INTO settle.template (template_id, kind, channel, locale, version, created_by, created_at, title, body) OVERRIDING SYSTEM VALUE
VALUES (9, 'void', 'push', 'en', 0, NULL, NULL,
	$void_title$Your bill for {{month}} was cancelled$void_title$,
	$void_body$You owe nothing on it.$void_body$);
