package reports

// The colours, light and dark; a class beside each inline style is what the dark ones replace it by.
// Text on its background keeps a contrast of 4.5 in both, which a test computes from the page itself.
const (
	darkColours = `@media (prefers-color-scheme:dark){` +
		`.p{background:#12171e!important}.n{background:#1d2530!important}` +
		`.k{color:#e6eaf0!important}.s{color:#a3b0bf!important}.a{color:#5fd0a4!important}` +
		`.m{background:#33270f!important;color:#ffc163!important}.c{background:#0b0f14!important;color:#e6eaf0!important}` +
		`.l{border-color:#333d4a!important}.b{background:#5fd0a4!important}.f{background:#333d4a!important}}`

	bodyStyle  = `margin:0;padding:0;background:#ffffff;-webkit-text-size-adjust:100%`
	fontStyle  = `font-family:system-ui,-apple-system,'Segoe UI',Roboto,Helvetica,Arial,sans-serif;font-size:15px;line-height:1.5`
	ink        = `color:#1c2430`
	soft       = `color:#566271`
	accent     = `color:#0b6e4f`
	markStyle  = `background:#fff3dc;color:#7a4200;padding:8px 12px;font-weight:600`
	panelStyle = `background:#f4f6f9;padding:12px 14px`
	codeStyle  = `background:#eceff3;color:#1c2430;padding:3px 7px;font-family:ui-monospace,Menlo,Consolas,monospace;font-size:13px;word-break:break-all`
	lineStyle  = `border-bottom:1px solid #d9dee5`
	barStyle   = `height:5px;font-size:0;line-height:5px`
	cellStyle  = `padding:3px 0 2px 8px;text-align:right;vertical-align:top;white-space:nowrap;font-variant-numeric:tabular-nums`
	nameStyle  = `padding:8px 0;text-align:left;vertical-align:top;font-weight:400;word-break:break-word`
	h2Style    = `margin:28px 0 4px;font-size:18px;line-height:1.3;font-weight:600`
)

const letterTemplate = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="supported-color-schemes" content="light dark">
<title>{{.Subject}}</title>
<style>:root{color-scheme:light dark}` + darkColours + `</style>
</head>
<body class="p" style="` + bodyStyle + `">
<div style="display:none;max-height:0;overflow:hidden">{{.Verdict}}</div>
<table role="presentation" width="100%" cellpadding="0" cellspacing="0" border="0" class="p" style="background:#ffffff"><tr><td align="center">
<table role="presentation" width="100%" cellpadding="0" cellspacing="0" border="0" style="max-width:600px;width:100%"><tr><td class="k" style="padding:20px 16px 32px;text-align:left;` + ink + `;` + fontStyle + `">
{{range .Marks}}<p class="m" style="margin:0 0 10px;` + markStyle + `">{{.Word}}: {{.Text}}</p>
{{end}}<h1 style="margin:0;font-size:22px;line-height:1.25;font-weight:600">{{.Title}}</h1>
<p class="s" style="margin:4px 0 0;font-size:14px;` + soft + `">{{.Span}}</p>
{{template "links" .Links}}<p style="margin:14px 0 16px;font-size:16px">{{nice .Verdict}}</p>
<table role="presentation" width="100%" cellpadding="0" cellspacing="0" border="0">
{{range $i, $t := .Tiles}}{{if even $i}}<tr>{{end}}<td class="n" width="49%" style="width:49%;vertical-align:top;` + panelStyle + `"><span class="s" style="font-size:13px;` + soft + `">{{.Label}}</span><br><strong style="font-size:18px;line-height:1.5">{{.Value}}</strong><br><span class="s" style="font-size:13px;` + soft + `">{{nice .Note}}</span></td>{{if even $i}}<td width="8" style="width:8px;font-size:0">&nbsp;</td>{{else}}</tr>
{{if lt $i 2}}<tr><td colspan="3" height="8" style="height:8px;font-size:0;line-height:8px">&nbsp;</td></tr>
{{end}}{{end}}{{end}}</table>
{{range .Sections}}<h2 style="` + h2Style + `">{{.Title}}{{if .Items}} ({{len .Items}}){{end}}</h2>
{{with .Note}}<p class="s" style="margin:0 0 4px;font-size:14px;` + soft + `">{{nice .}}</p>
{{end}}{{range .Items}}{{template "item" .}}{{end}}{{with .Table}}{{template "table" .}}{{end}}{{if .Lines}}<ul style="margin:6px 0 0;padding:0 0 0 20px">
{{range .Lines}}<li style="margin:0 0 4px;word-break:break-word">{{nice .}}</li>
{{end}}</ul>
{{end}}{{end}}<h2 class="l" style="margin:32px 0 6px;border-top:1px solid #d9dee5;padding-top:16px;font-size:15px;font-weight:600">How the numbers came about</h2>
<ul class="s" style="margin:0;padding:0 0 0 18px;font-size:13px;` + soft + `">
{{range .Method}}<li style="margin:0 0 3px;word-break:break-word">{{.}}</li>
{{end}}</ul>
</td></tr></table>
</td></tr></table>
</body>
</html>
{{define "links"}}{{if .Plan}}<p style="margin:10px 0 0;font-size:14px">{{range .Periods}}<a class="a" href="{{.URL}}" style="` + accent + `">{{.Text}}</a> · {{end}}<a class="a" href="{{.Plan}}" style="` + accent + `">plan</a> · <a class="a" href="{{.JSON}}" style="` + accent + `">JSON</a></p>
{{end}}{{end}}
{{define "item"}}<table role="presentation" width="100%" cellpadding="0" cellspacing="0" border="0"><tr><td class="l" style="padding:10px 0;word-break:break-word;` + lineStyle + `"><strong style="font-weight:600">{{nice .Head}}</strong>
{{if .Right}}<br><span{{if .Good}} class="a" style="` + accent + `"{{end}}>{{.Right}}</span>
{{end}}{{range .Lines}}<br><span class="s" style="font-size:14px;` + soft + `">{{nice .}}</span>
{{end}}{{with .Command}}<br><code class="c" style="` + codeStyle + `">{{.}}</code>
{{end}}</td></tr></table>
{{end}}
{{define "table"}}<table width="100%" cellpadding="0" cellspacing="0" border="0" style="border-collapse:collapse;font-size:14px">
<thead><tr>{{range $i, $c := .Columns}}<th scope="col" class="s l" style="` + cellStyle + `{{if not $i}};text-align:left;padding-left:0{{end}};font-weight:400;` + soft + `;` + lineStyle + `">{{$c}}</th>{{end}}</tr></thead>
{{range .Rows}}<tbody><tr><th scope="rowgroup" colspan="{{$.Wide}}" style="` + nameStyle + `;padding-bottom:0">{{.Name}}</th></tr>
<tr><td width="40%" style="padding:6px 0 0;vertical-align:middle">{{if .Bar}}<table role="presentation" width="100%" cellpadding="0" cellspacing="0" border="0"><tr><td class="b" width="{{.Bar}}%" style="` + barStyle + `;background:#0b6e4f">&nbsp;</td>{{if rest .Bar}}<td class="f" width="{{rest .Bar}}%" style="` + barStyle + `;background:#e3e7ec">&nbsp;</td>{{end}}</tr></table>{{end}}</td>{{range .Cells}}<td style="` + cellStyle + `">{{.}}</td>{{end}}</tr>
<tr><td colspan="{{$.Wide}}" class="s l" style="padding:0 0 8px;font-size:13px;` + soft + `;` + lineStyle + `">{{.Note}}</td></tr></tbody>
{{end}}{{with .Sum}}<tbody><tr><th scope="row" style="` + nameStyle + `;font-weight:600">{{.Name}}</th>{{range .Cells}}<td style="` + cellStyle + `;padding-top:8px;font-weight:600">{{.}}</td>{{end}}</tr></tbody>
{{end}}</table>
{{end}}`
