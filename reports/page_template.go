package reports

const pageTemplate = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{{if .Simulated}}SIMULATED: {{end}}{{.Title}}</title>
<style>
:root { color-scheme: light dark; --ink: #1c2430; --soft: #5a6675; --line: #d9dee5; --paper: #fff; --panel: #f4f6f9;
  --accent: #0b6e4f; --mark: #8a4b00; --mark-paper: #fff3dc; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6eaf0; --soft: #9aa7b6; --line: #333d4a; --paper: #12171e; --panel: #1b222c;
  --accent: #5fd0a4; --mark: #ffc163; --mark-paper: #33270f; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.25rem; max-width: 60rem; background: var(--paper); color: var(--ink);
  font: 1rem/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.5rem; line-height: 1.25; margin: .5rem 0 0; }
h2 { font-size: 1.15rem; margin: 2.25rem 0 .5rem; }
h3 { font-size: 1rem; margin: 0; }
p { margin: .25rem 0; }
.soft, caption, dt { color: var(--soft); }
.simulated { background: var(--mark-paper); color: var(--mark); border-radius: .4rem; padding: .5rem .8rem; font-weight: 600; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(9rem, 1fr)); gap: .75rem; margin: 1rem 0; padding: 0; list-style: none; }
.tiles li { background: var(--panel); border-radius: .5rem; padding: .75rem 1rem; }
.tiles strong { display: block; font-size: 1.6rem; line-height: 1.3; }
.bar { display: block; height: .4rem; border-radius: .2rem; background: var(--line); margin-top: .4rem; }
.bar span { display: block; height: 100%; border-radius: .2rem; background: var(--soft); }
.after .bar span, .saving { background: none; color: var(--accent); }
.after .bar span { background: var(--accent); }
ol.top { padding-left: 1.4rem; }
ol.top li { margin: .75rem 0; }
ol.top .saving { white-space: nowrap; }
.first::first-letter { text-transform: uppercase; }
.why { color: var(--soft); font-size: .92rem; }
table { width: 100%; border-collapse: collapse; }
caption { text-align: left; font-size: .92rem; padding-bottom: .4rem; }
th, td { text-align: left; vertical-align: top; padding: .5rem .6rem .5rem 0; border-bottom: 1px solid var(--line); }
th[scope=row] { font-weight: 500; }
td.n, th.n { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; padding-right: 0; padding-left: .6rem; }
tfoot th[scope=row], tfoot td { font-weight: 700; border-bottom: 0; }
td small, th small { display: block; font-weight: 400; color: var(--soft); }
article { border-top: 1px solid var(--line); padding: .9rem 0; }
dl { display: grid; grid-template-columns: 6rem 1fr; gap: .15rem .75rem; margin: .4rem 0 0; }
dt { grid-column: 1; } dd { grid-column: 2; margin: 0; }
a { color: var(--accent); }
code { font-family: ui-monospace, monospace; font-size: .9em; }
footer { margin-top: 2.5rem; border-top: 1px solid var(--line); padding-top: .75rem; font-size: .9rem; color: var(--soft); }
@media (max-width: 30rem) { body { padding: .9rem; } dl { display: block; } dd { margin-bottom: .3rem; }
  tr { display: grid; grid-template-columns: 1fr 1fr 1fr; border-bottom: 1px solid var(--line); padding: .45rem 0; }
  th, td { border: 0; padding: .1rem 0; } th:first-child { grid-column: 1 / -1; } td.n, th.n { text-align: left; padding-left: 0; }
  .tiles { grid-template-columns: 1fr 1fr; } .tiles strong { font-size: 1.25rem; } }
</style>
</head>
<body>
<header>
{{with .View.Old}}<p class="simulated">OLD: {{.}}</p>{{end}}{{if .Simulated}}<p class="simulated">SIMULATED: {{if .FromSimulation}}nothing was measured in a cluster, nothing was changed.{{else}}{{.View.Unreal}}.{{end}}</p>{{end}}
<h1>{{.Title}}</h1>
<p class="soft">{{.Span}}</p>
{{with .Home}}<p><a href="{{.}}">report</a></p>
{{end}}</header>
<main>
<section aria-label="Summary">
<ul class="tiles">
<li>a {{.Per}} now<strong>{{.Now}}</strong><span class="bar"><span style="width:100%"></span></span></li>
<li class="after">a {{.Per}} after<strong>{{.After}}</strong><span class="bar"><span style="width:{{.Bar}}%"></span></span></li>
</ul>
<p><strong class="saving">{{.Outcome}}</strong>{{if .FromSimulation}} with every change of this plan and of those after it made{{else}} with every change of this plan made{{end}}.</p>
{{if .Top}}<ol class="top">
{{range .Top}}<li><strong>{{.Name}}</strong>: {{join .Moves "; " | arrows}}: <span{{if not .Costs}} class="saving"{{end}}>{{.Delta}}</span>
{{range .Why}}<div class="why">{{.}}</div>{{end}}</li>
{{end}}</ol>{{end}}
<p><strong>GPU</strong> {{.GPU}}.</p>
{{range .Notes}}<p><strong>Note</strong> {{.}}.</p>{{end}}
</section>

{{if .Rows}}<section>
<h2>Every model</h2>
<table>
<caption>Dollars a {{.Per}}, the largest saving first.</caption>
<thead><tr><th scope="col">Model</th><th scope="col" class="n">Now</th><th scope="col" class="n">After</th><th scope="col" class="n">Saves</th></tr></thead>
<tbody>
{{range .Rows}}<tr><th scope="row">{{.Name}}{{range .Moves}}<small>{{arrows .}}</small>{{end}}</th><td class="n">{{.Now}}</td><td class="n">{{.After}}</td><td class="n{{if not .Costs}} saving{{end}}">{{.Saving}}</td></tr>
{{end}}</tbody>
<tfoot><tr><th scope="row">Sum</th><td class="n">{{.Now}}</td><td class="n">{{.After}}</td><td class="n saving">{{.Saving}}</td></tr></tfoot>
</table>
</section>{{end}}

{{if .Checks}}<section>
<h2>Do the new requests suffice?</h2>
<table>
<caption>The week after the last change, simulated too: the share of 5-minute windows in which a pod used more than its new request.
A pod above its CPU request runs on what its node has to spare.</caption>
<thead><tr><th scope="col">Changed model</th><th scope="col" class="n">CPU</th><th scope="col" class="n">Memory</th><th scope="col" class="n">Kills</th></tr></thead>
<tbody>
{{range .Checks}}<tr><th scope="row">{{.Name}}</th><td class="n">{{.CPU}}</td><td class="n">{{.Memory}}</td><td class="n">{{.Kills}}</td></tr>
{{end}}</tbody>
</table>
</section>{{end}}

<section>
<h2>The plan of {{.View.At}}</h2>
<p>{{.View.Total}}</p>
</section>
{{with .View.Changed}}<section>
<h2>Change ({{len .}})</h2>
<p class="soft first">{{$.View.Doing}}.</p>
{{range .}}{{template "card" .}}{{end}}</section>{{end}}
{{with .View.Advised}}<section>
<h2>Advice ({{len .}})</h2>
<p class="soft">For people to decide; Trimtab changes none of it.</p>
{{range .}}{{template "card" .}}{{end}}</section>{{end}}{{with .View.Held}}<section>
<h2>Held ({{len .}})</h2>
<p class="soft">Left alone, and why.</p>
{{range .}}{{template "card" .}}{{end}}</section>{{end}}
{{with .View.Fine}}<section>
<h2>Leave ({{len .}})</h2>
<p class="soft">These ask for what they need.</p>
{{range .}}{{template "card" .}}{{end}}</section>{{end}}
{{with .View.Bad}}<section>
<h2>Policies with faults ({{len .}})</h2>
{{range .}}<article><h3>{{.Source}}</h3><dl><dt>fault</dt>{{range .Faults}}<dd>{{.}}</dd>{{end}}<dt>effect</dt><dd>{{.Effect}}</dd></dl></article>{{end}}
</section>{{end}}
{{with .View.Troubles}}<section>
<h2>Troubles ({{len .}})</h2>
<p class="soft">What this pass could not do.</p>
<ul>{{range .}}<li>{{.}}</li>{{end}}</ul>
</section>{{end}}
{{with .View.Owned}}<section>
<h2>Owned ({{len .}})</h2>
<p class="soft">What Trimtab keeps as its documents ask.</p>
<ul>{{range .}}<li>{{.}}</li>{{end}}</ul>
</section>{{end}}
{{with .View.Lint}}<section>
<h2>Quotas and limit ranges ({{len .}})</h2>
<p class="soft">What will not do what it seems to.</p>
<ul>{{range .}}<li>{{.}}</li>{{end}}</ul>
</section>{{end}}
{{with .View.Prices}}<section>
<h2>Prices ({{len .}})</h2>
<p class="soft">What the nodes cost by; a Prices document of yours goes before them.</p>
<ul>{{range .}}<li>{{.}}</li>{{end}}</ul>
</section>{{end}}
</main>
<footer>
<p>A model costs its requests' share of the list price of the nodes under its pods; a month has 730 hours, a week 168.
What is saved is room on nodes: the bill falls when nodes are taken away.</p>
</footer>
</body>
</html>
{{define "card"}}<article>
<h3>{{.Name}}</h3>
<p class="soft">{{.About}}</p>
<dl>
{{if .Observed}}<dt>observed</dt>{{range .Observed}}<dd>{{.}}</dd>{{end}}{{end}}
{{if .Moves}}<dt>change</dt>{{range .Moves}}<dd><strong>{{arrows .}}</strong></dd>{{end}}{{end}}
{{if .Why}}<dt>because</dt>{{range .Why}}<dd>{{.}}</dd>{{end}}{{end}}
{{if .Trims}}<dt>trimmed</dt>{{range .Trims}}<dd>{{arrows .}}</dd>{{end}}{{end}}
{{range .Advice}}<dt>advice</dt><dd><strong>{{.Text}}</strong></dd><dt>because</dt><dd>{{.Because}}</dd><dt>first</dt><dd>{{.Before}}</dd>{{end}}{{range .Holds}}<dt>held</dt><dd>{{if .What}}{{.What}}: {{end}}{{.Detail}} <code>{{.Reason}}</code></dd>{{end}}
<dt>cost</dt><dd>{{arrows .Cost}}</dd>
</dl>
</article>
{{end}}`
