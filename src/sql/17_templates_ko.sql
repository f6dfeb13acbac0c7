-- ------------------------------------------------------------------------------------------------------------------
-- 17 Templates that come with settle: Korean
--
-- A bill and one that replaces an earlier bill have the same texts; `revised` makes the difference. Mail clients know no
-- style sheets worth the name: tables and inline styles, and a few classes for dark colours. Nothing is loaded from outside.
-- ------------------------------------------------------------------------------------------------------------------

INSERT INTO settle.template (template_id, kind, channel, locale, version, created_by, created_at, subject, html, text) OVERRIDING SYSTEM VALUE
SELECT k.id, k.kind, 'email', 'ko', 0, NULL, NULL,
	$bill_subject$[{{company}}] {{#revised}}(정정) {{/revised}}{{month}} 요금 청구서$bill_subject$,
	$bill_html$<!DOCTYPE html>
<html lang="ko">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="supported-color-schemes" content="light dark">
<title>{{month}} 요금 청구서{{#revised}} (정정){{/revised}}</title>
<style>
@media (prefers-color-scheme: dark) {
.page { background: #101214 !important } .card { background: #1b1e22 !important }
.ink { color: #f1f3f5 !important } .dim { color: #a5adb6 !important } .less { color: #5fd08a !important }
.rule { border-color: #343a41 !important } .band { background: #262a30 !important }
}
</style>
</head>
<body class="page" style="margin:0;padding:0;background:#f2f4f6;-webkit-text-size-adjust:100%">
<div style="display:none;max-height:0;overflow:hidden;mso-hide:all">{{month}} 요금 {{total}}{{^nothing_due}}, 납부기한 {{due_on}}{{/nothing_due}}</div>
<table role="presentation" class="page" width="100%" cellpadding="0" cellspacing="0" border="0" style="background:#f2f4f6">
<tr><td align="center" style="padding:24px 12px">
<table role="presentation" class="card" width="100%" cellpadding="0" cellspacing="0" border="0" style="max-width:600px;background:#ffffff;border-radius:12px">
<tr><td class="dim" style="padding:28px 28px 0;font-family:'Apple SD Gothic Neo','Malgun Gothic','Noto Sans KR',sans-serif;font-size:14px;line-height:20px;color:#5f6873">{{company}}</td></tr>
<tr><td class="ink" style="padding:4px 28px 0;font-family:'Apple SD Gothic Neo','Malgun Gothic','Noto Sans KR',sans-serif;font-size:22px;line-height:30px;font-weight:bold;color:#1a1d21">{{month}} 요금 청구서{{#revised}} (정정){{/revised}}</td></tr>
{{#customer_name}}
<tr><td class="ink" style="padding:16px 28px 0;font-family:'Apple SD Gothic Neo','Malgun Gothic','Noto Sans KR',sans-serif;font-size:15px;line-height:24px;word-break:keep-all;color:#1a1d21">{{customer_name}} 고객님, 안녕하세요.</td></tr>
{{/customer_name}}
{{#revised}}
<tr><td class="ink" style="padding:16px 28px 0;font-family:'Apple SD Gothic Neo','Malgun Gothic','Noto Sans KR',sans-serif;font-size:15px;line-height:24px;word-break:keep-all;color:#1a1d21">앞서 보내 드린 {{month}} 청구서를 정정한 청구서입니다. 이전 청구서는 무효이며, 아래 금액만 납부하시면 됩니다.</td></tr>
{{/revised}}
<tr><td style="padding:20px 28px 0">
<table role="presentation" class="band" width="100%" cellpadding="0" cellspacing="0" border="0" style="background:#f6f8fa;border-radius:8px">
<tr><td class="dim" style="padding:16px 20px 0;font-family:'Apple SD Gothic Neo','Malgun Gothic','Noto Sans KR',sans-serif;font-size:14px;line-height:20px;color:#5f6873">납부하실 금액</td></tr>
<tr><td class="ink" style="padding:2px 20px 0;font-family:'Apple SD Gothic Neo','Malgun Gothic','Noto Sans KR',sans-serif;font-size:30px;line-height:40px;font-weight:bold;color:#1a1d21">{{total}}</td></tr>
<tr><td class="dim" style="padding:2px 20px 16px;font-family:'Apple SD Gothic Neo','Malgun Gothic','Noto Sans KR',sans-serif;font-size:14px;line-height:20px;color:#5f6873">{{#nothing_due}}납부하실 금액이 없습니다.{{/nothing_due}}{{^nothing_due}}납부기한 {{due_on}}{{/nothing_due}}</td></tr>
</table>
</td></tr>
{{#pay_url}}
{{^nothing_due}}
<tr><td align="center" style="padding:20px 28px 0">
<table role="presentation" cellpadding="0" cellspacing="0" border="0"><tr><td align="center" bgcolor="#1f5eff" style="border-radius:8px">
<a href="{{pay_url}}" style="display:inline-block;padding:13px 32px;font-family:'Apple SD Gothic Neo','Malgun Gothic','Noto Sans KR',sans-serif;font-size:16px;line-height:22px;font-weight:bold;color:#ffffff;text-decoration:none">요금 납부하기</a>
</td></tr></table>
</td></tr>
{{/nothing_due}}
{{/pay_url}}
<tr><td style="padding:24px 28px 8px">
<table width="100%" cellpadding="0" cellspacing="0" border="0" style="border-collapse:collapse">
{{#lines}}
{{#group}}
<tr>
<td class="ink" valign="top" style="padding:18px 8px 6px 0;font-family:'Apple SD Gothic Neo','Malgun Gothic','Noto Sans KR',sans-serif;font-size:15px;line-height:22px;font-weight:bold;color:#1a1d21">{{#in_recurring}}월정액{{/in_recurring}}{{#in_usage}}이용료{{/in_usage}}{{#in_one_off}}일회성 요금{{/in_one_off}}{{#in_discount}}할인{{/in_discount}}{{#in_tax}}세금{{/in_tax}}{{#in_other}}기타{{/in_other}}</td>
<td class="ink" align="right" valign="top" style="padding:18px 0 6px;font-family:'Apple SD Gothic Neo','Malgun Gothic','Noto Sans KR',sans-serif;font-size:15px;line-height:22px;font-weight:bold;white-space:nowrap;color:#1a1d21">{{#in_recurring}}{{#recurring}}{{recurring}}{{/recurring}}{{/in_recurring}}{{#in_usage}}{{#usage}}{{usage}}{{/usage}}{{/in_usage}}{{#in_one_off}}{{#one_off}}{{one_off}}{{/one_off}}{{/in_one_off}}{{#in_discount}}{{#discount}}{{discount}}{{/discount}}{{/in_discount}}{{#in_tax}}{{#tax}}{{tax}}{{/tax}}{{/in_tax}}</td>
</tr>
{{/group}}
<tr>
<td class="ink rule" style="padding:8px 8px 8px 0;border-top:1px solid #e4e7eb;font-family:'Apple SD Gothic Neo','Malgun Gothic','Noto Sans KR',sans-serif;font-size:14px;line-height:20px;word-break:keep-all;overflow-wrap:break-word;color:#1a1d21">{{#name}}{{name}}{{/name}}{{#is_rounding}}끝수 조정{{/is_rounding}}{{#is_carried}}이월 크레딧 차감{{/is_carried}}{{#is_arrears}}미납 요금{{/is_arrears}}{{#is_credit_forward}}다음 달로 이월되는 크레딧{{/is_credit_forward}}{{#is_minimum}} – 최저 요금 적용{{/is_minimum}}{{#is_maximum}} – 최고 요금 적용{{/is_maximum}}{{#in_usage}}{{#quantity}}<br><span class="dim" style="font-size:13px;color:#5f6873">{{quantity}}</span>{{/quantity}}{{/in_usage}}{{#several}}{{#quantity}}<br><span class="dim" style="font-size:13px;color:#5f6873">수량 {{quantity}}</span>{{/quantity}}{{/several}}{{#part_month}}{{#days}}<br><span class="dim" style="font-size:13px;color:#5f6873">{{days}}일 이용</span>{{/days}}{{/part_month}}</td>
<td class="rule {{#negative}}less{{/negative}}{{^negative}}ink{{/negative}}" align="right" valign="top" style="padding:8px 0;border-top:1px solid #e4e7eb;font-family:'Apple SD Gothic Neo','Malgun Gothic','Noto Sans KR',sans-serif;font-size:14px;line-height:20px;white-space:nowrap;{{#negative}}color:#0b7a3e{{/negative}}{{^negative}}color:#1a1d21{{/negative}}">{{#is_included_tax}}포함{{/is_included_tax}}{{^is_included_tax}}{{amount}}{{/is_included_tax}}</td>
</tr>
{{/lines}}
<tr>
<td class="ink rule" style="padding:16px 8px 16px 0;border-top:2px solid #1a1d21;font-family:'Apple SD Gothic Neo','Malgun Gothic','Noto Sans KR',sans-serif;font-size:16px;line-height:24px;font-weight:bold;color:#1a1d21">합계</td>
<td class="ink rule" align="right" style="padding:16px 0;border-top:2px solid #1a1d21;font-family:'Apple SD Gothic Neo','Malgun Gothic','Noto Sans KR',sans-serif;font-size:16px;line-height:24px;font-weight:bold;white-space:nowrap;color:#1a1d21">{{total}}</td>
</tr>
{{#included_tax}}
<tr><td class="dim" colspan="2" align="right" style="padding:0 0 16px;font-family:'Apple SD Gothic Neo','Malgun Gothic','Noto Sans KR',sans-serif;font-size:13px;line-height:20px;color:#5f6873">위 요금에는 세금 {{included_tax}}이 포함되어 있습니다.</td></tr>
{{/included_tax}}
</table>
</td></tr>
<tr><td class="dim rule" style="padding:16px 28px 28px;border-top:1px solid #e4e7eb;font-family:'Apple SD Gothic Neo','Malgun Gothic','Noto Sans KR',sans-serif;font-size:13px;line-height:20px;color:#5f6873">고객번호 {{account}}{{#support}}<br>문의: {{support}}{{/support}}</td></tr>
</table>
</td></tr>
</table>
</body>
</html>$bill_html$,
	$bill_text${{company}}
{{month}} 요금 청구서{{#revised}} (정정){{/revised}}

{{#customer_name}}
{{customer_name}} 고객님, 안녕하세요.

{{/customer_name}}
{{#revised}}
앞서 보내 드린 {{month}} 청구서를 정정한 청구서입니다. 이전 청구서는 무효이며, 아래 금액만 납부하시면 됩니다.

{{/revised}}
납부하실 금액: {{total}}
{{#nothing_due}}
납부하실 금액이 없습니다.
{{/nothing_due}}
{{^nothing_due}}
납부기한 {{due_on}}
{{#pay_url}}
요금 납부하기: {{pay_url}}
{{/pay_url}}
{{/nothing_due}}
{{#lines}}
{{#group}}

{{#in_recurring}}월정액{{/in_recurring}}{{#in_usage}}이용료{{/in_usage}}{{#in_one_off}}일회성 요금{{/in_one_off}}{{#in_discount}}할인{{/in_discount}}{{#in_tax}}세금{{/in_tax}}{{#in_other}}기타{{/in_other}}
{{/group}}
- {{#name}}{{name}}{{/name}}{{#is_rounding}}끝수 조정{{/is_rounding}}{{#is_carried}}이월 크레딧 차감{{/is_carried}}{{#is_arrears}}미납 요금{{/is_arrears}}{{#is_credit_forward}}다음 달로 이월되는 크레딧{{/is_credit_forward}}{{#is_minimum}} – 최저 요금 적용{{/is_minimum}}{{#is_maximum}} – 최고 요금 적용{{/is_maximum}}{{#in_usage}}{{#quantity}}, {{quantity}}{{/quantity}}{{/in_usage}}{{#several}}{{#quantity}}, 수량 {{quantity}}{{/quantity}}{{/several}}{{#part_month}}{{#days}}, {{days}}일 이용{{/days}}{{/part_month}}: {{#is_included_tax}}포함{{/is_included_tax}}{{^is_included_tax}}{{amount}}{{/is_included_tax}}
{{/lines}}

합계: {{total}}
{{#included_tax}}
위 요금에는 세금 {{included_tax}}이 포함되어 있습니다.
{{/included_tax}}

고객번호 {{account}}
{{#support}}
문의: {{support}}
{{/support}}
$bill_text$
FROM (VALUES (11, 'bill'), (12, 'rebill')) AS k (id, kind);

INSERT INTO settle.template (template_id, kind, channel, locale, version, created_by, created_at, subject, html, text) OVERRIDING SYSTEM VALUE
VALUES (13, 'void', 'email', 'ko', 0, NULL, NULL,
	$void_subject$[{{company}}] {{month}} 청구 취소 안내$void_subject$,
	$void_html$<!DOCTYPE html>
<html lang="ko">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="supported-color-schemes" content="light dark">
<title>{{month}} 청구 취소 안내</title>
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
<tr><td class="dim" style="padding:28px 28px 0;font-family:'Apple SD Gothic Neo','Malgun Gothic','Noto Sans KR',sans-serif;font-size:14px;line-height:20px;color:#5f6873">{{company}}</td></tr>
<tr><td class="ink" style="padding:4px 28px 0;font-family:'Apple SD Gothic Neo','Malgun Gothic','Noto Sans KR',sans-serif;font-size:22px;line-height:30px;font-weight:bold;color:#1a1d21">{{month}} 청구 취소 안내</td></tr>
{{#customer_name}}
<tr><td class="ink" style="padding:16px 28px 0;font-family:'Apple SD Gothic Neo','Malgun Gothic','Noto Sans KR',sans-serif;font-size:15px;line-height:24px;word-break:keep-all;color:#1a1d21">{{customer_name}} 고객님, 안녕하세요.</td></tr>
{{/customer_name}}
<tr><td class="ink" style="padding:16px 28px 0;font-family:'Apple SD Gothic Neo','Malgun Gothic','Noto Sans KR',sans-serif;font-size:15px;line-height:24px;word-break:keep-all;color:#1a1d21">앞서 보내 드린 {{month}} 요금 청구서가 취소되었습니다. 이 청구서로 납부하실 금액은 없습니다.</td></tr>
<tr><td class="ink" style="padding:16px 28px 0;font-family:'Apple SD Gothic Neo','Malgun Gothic','Noto Sans KR',sans-serif;font-size:15px;line-height:24px;word-break:keep-all;color:#1a1d21">새 청구서가 발행되면 다시 알려 드립니다. 이미 납부하셨다면 따로 처리해 드릴 테니 다시 납부하지 마시기 바랍니다.</td></tr>
<tr><td style="padding:0 0 20px;font-size:0;line-height:0">&nbsp;</td></tr>
<tr><td class="dim rule" style="padding:16px 28px 28px;border-top:1px solid #e4e7eb;font-family:'Apple SD Gothic Neo','Malgun Gothic','Noto Sans KR',sans-serif;font-size:13px;line-height:20px;color:#5f6873">고객번호 {{account}}{{#support}}<br>문의: {{support}}{{/support}}</td></tr>
</table>
</td></tr>
</table>
</body>
</html>$void_html$,
	$void_text${{company}}
{{month}} 청구 취소 안내

{{#customer_name}}
{{customer_name}} 고객님, 안녕하세요.

{{/customer_name}}
앞서 보내 드린 {{month}} 요금 청구서가 취소되었습니다. 이 청구서로 납부하실 금액은 없습니다.

새 청구서가 발행되면 다시 알려 드립니다. 이미 납부하셨다면 따로 처리해 드릴 테니 다시 납부하지 마시기 바랍니다.

고객번호 {{account}}
{{#support}}
문의: {{support}}
{{/support}}
$void_text$);

-- SMS within one segment: 70 characters with Hangul.
INSERT INTO settle.template (template_id, kind, channel, locale, version, created_by, created_at, text) OVERRIDING SYSTEM VALUE
SELECT k.id, k.kind, 'sms', 'ko', 0, NULL, NULL,
	$bill_sms$[{{company}}] {{#revised}}(정정) {{/revised}}{{month}} 요금 {{total}}{{^nothing_due}}, 납부기한 {{due_day}}{{/nothing_due}}$bill_sms$
FROM (VALUES (14, 'bill'), (15, 'rebill')) AS k (id, kind);

INSERT INTO settle.template (template_id, kind, channel, locale, version, created_by, created_at, text) OVERRIDING SYSTEM VALUE
VALUES (16, 'void', 'sms', 'ko', 0, NULL, NULL,
	$void_sms$[{{company}}] {{month}} 요금 청구가 취소되었습니다.$void_sms$);

INSERT INTO settle.template (template_id, kind, channel, locale, version, created_by, created_at, title, body) OVERRIDING SYSTEM VALUE
SELECT k.id, k.kind, 'push', 'ko', 0, NULL, NULL,
	$bill_title${{month}} 요금 청구서{{#revised}} (정정){{/revised}}$bill_title$,
	$bill_body${{#nothing_due}}납부하실 금액이 없습니다.{{/nothing_due}}{{^nothing_due}}{{total}} · 납부기한 {{due_day}}{{/nothing_due}}$bill_body$
FROM (VALUES (17, 'bill'), (18, 'rebill')) AS k (id, kind);

INSERT INTO settle.template (template_id, kind, channel, locale, version, created_by, created_at, title, body) OVERRIDING SYSTEM VALUE
VALUES (19, 'void', 'push', 'ko', 0, NULL, NULL,
	$void_title${{month}} 청구 취소 안내$void_title$,
	$void_body$앞서 보내 드린 {{month}} 청구서가 취소되었습니다.$void_body$);
