package replay

const pageTemplate = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{{.Title}}</title>
<style>
:root { color-scheme: light dark; --ink: #1c2430; --soft: #5a6675; --line: #d9dee5; --paper: #fff; --panel: #f4f6f9; --use: #9fb0c3; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6eaf0; --soft: #9aa7b6; --line: #333d4a; --paper: #12171e; --panel: #1b222c; --use: #56677b; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.25rem; max-width: 80rem; background: var(--paper); color: var(--ink); font: 1rem/1.5 system-ui, sans-serif; }
h1 { font-size: 1.5rem; line-height: 1.25; margin: .5rem 0 0; }
h2 { font-size: 1.15rem; margin: 2.25rem 0 .5rem; }
h3 { font-size: 1rem; margin: 1.25rem 0 .25rem; }
p { margin: .25rem 0; }
.soft, caption { color: var(--soft); }
.wide { overflow-x: auto; }
table { width: 100%; border-collapse: collapse; font-size: .92rem; font-variant-numeric: tabular-nums; }
caption { text-align: left; font-size: .92rem; padding-bottom: .4rem; }
th, td { text-align: right; vertical-align: top; padding: .35rem 0 .35rem .6rem; border-bottom: 1px solid var(--line); white-space: nowrap; }
th:first-child { text-align: left; padding-left: 0; }
thead th { white-space: normal; vertical-align: bottom; }
th small { display: block; font-weight: 400; color: var(--soft); white-space: normal; min-width: 12rem; }
th[scope=row] { font-weight: 600; }
details { margin: .75rem 0; }
.wide + .wide { margin-top: 1rem; }
summary { cursor: pointer; }
fieldset { border: 1px solid var(--line); border-radius: .5rem; padding: .5rem .8rem; display: flex; flex-wrap: wrap; gap: .25rem 1rem; background: var(--paper); position: sticky; top: 0; }
label { white-space: nowrap; font-weight: 600; }
svg.plot { display: block; width: 100%; min-width: 44rem; height: auto; font: 13px system-ui, sans-serif; margin: .25rem 0; }
svg.plot text { fill: var(--soft); }
svg.plot .grid { stroke: var(--line); fill: none; }
svg.plot .use { fill: var(--use); stroke: var(--use); stroke-width: 1; }
svg.plot .line { fill: none; stroke: currentColor; stroke-width: 1.75; }
svg.plot .dot { fill: currentColor; }
svg.plot text.name { fill: currentColor; font-weight: 600; }
{{range .Rules}}.r-{{.Class}} { color: {{.Light}}; stroke-dasharray: {{.Dash}}; }
body:has(#show-{{.Class}}:not(:checked)) path.r-{{.Class}} { display: none; }
{{end}}@media (prefers-color-scheme: dark) { {{range .Rules}}.r-{{.Class}} { color: {{.Dark}}; } {{end}} }
footer { margin-top: 2.5rem; border-top: 1px solid var(--line); padding-top: .75rem; font-size: .9rem; color: var(--soft); white-space: pre-line; }
@media (max-width: 48rem) { fieldset { position: static; } }
@media print { fieldset { position: static; } }
</style>
</head>
<body>
<header>
<h1>{{.Title}}</h1>
<p class="soft">Each rule sized the same recorded use, seeing only what came before. Less is better in every column.</p>
</header>
<main>
{{range .Tables}}<section>
<h2>{{.About}}</h2>
<div class="wide"><table>
<thead><tr><th scope="col">rule</th>{{range .Heads}}<th scope="col">{{.}}</th>{{end}}</tr></thead>
<tbody>
{{range .Rows}}<tr><th scope="row"><span class="r-{{.Class}}">{{.Name}}</span><small>{{.About}}</small></th>{{range .Cells}}<td>{{.}}</td>{{end}}</tr>
{{end}}</tbody>
</table></div>
{{range .Pictures}}<div class="wide">{{.}}</div>
{{else}}<p>No rule was exceeded, so there is nothing to draw against what it asked for.</p>
{{end}}{{with .Classes}}<details>
<summary>By class, and the worst tenth</summary>
{{range .}}<div class="wide"><table>
<caption>{{.Name}}, {{.Series}} series</caption>
<thead><tr><th scope="col">rule</th><th scope="col">over %</th><th scope="col">unmet %, pooled</th><th scope="col">req/granted</th><th scope="col">slack</th></tr></thead>
<tbody>
{{range .Rows}}<tr><th scope="row">{{.Name}}</th>{{range .Cells}}<td>{{.}}</td>{{end}}</tr>
{{end}}</tbody>
</table></div>
{{end}}</details>{{end}}
</section>
{{end}}
{{with .Plots}}<section>
<h2>Use against each request</h2>
<p class="soft">The band is the use; each line is what a rule asked for. Times are UTC.</p>
<fieldset><legend>Rules shown</legend>
{{range $.Rules}}<label class="r-{{.Class}}"><input type="checkbox" id="show-{{.Class}}"{{if .Shown}} checked{{end}}> {{.Name}}</label>
{{end}}</fieldset>
{{range .}}<h3>{{.ID}}</h3>
<p class="soft">{{.About}}</p>
<div class="wide">{{.SVG}}</div>
{{end}}</section>
{{end}}
</main>
<footer>{{.Legend}}</footer>
</body>
</html>
`
