"""How the pages look: one small sheet, light and dark, nothing from outside."""

STYLE = """
:root { color-scheme: light dark; --ink: #15211f; --soft: #5c6865; --page: #f4f4f2; --card: #fff; --line: #d7dbd8;
  --good: #0b5d55; --bad: #a11d1d; --info: #2b5d94; --warn: #93650a; --wash: #f3e9d2; }
@media (prefers-color-scheme: dark) { :root { --ink: #e8edeb; --soft: #a3aeab; --page: #121816; --card: #1b2321;
  --line: #3a4542; --good: #5cc4b6; --bad: #f28b82; --info: #8ab4e8; --warn: #e0b152; --wash: #3a321d; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink); font: 15px/1.5 Inter, system-ui, sans-serif;
  font-variant-numeric: tabular-nums; }
main { max-width: 1180px; margin: 0 auto; padding: 24px 16px 64px; }
h1 { font-size: 26px; margin: 8px 0; } h1 small { color: var(--soft); font-weight: 400; } h2 { font-size: 17px; margin: 28px 0 8px; }
a { color: var(--good); }
.verdict { font-weight: 600; } .good { color: var(--good); } .verdict.bad, tr.bad b { color: var(--bad); }
table { border-collapse: collapse; background: var(--card); border: 1px solid var(--line); border-radius: 7px; }
th, td { text-align: left; padding: 5px 12px; border-top: 1px solid var(--line); vertical-align: top; } th { color: var(--soft); font-weight: 500; }
td.n { text-align: right; }
.ruler { background: var(--card); border: 1px solid var(--line); border-radius: 10px; overflow-x: auto; padding: 8px 0; }
svg text { font-size: 12px; fill: var(--soft); } svg .name { fill: var(--ink); font-weight: 600; } svg .date { text-anchor: middle; } svg .step { font-size: 11px; stroke: none; }
svg .lane { stroke: var(--line); stroke-width: 2; } svg .day { stroke: var(--line); stroke-dasharray: 2 3; }
svg .trouble { fill: var(--wash); }
.mark.session { fill: var(--ink); } .mark.session.cancelled, .mark.session.entered_in_error, .mark.session.no_show { fill: var(--soft); }
.mark.session.completed { fill: var(--good); } .mark.session.patient { fill: var(--line); stroke: var(--soft); }
.mark.text { fill: var(--good); } .mark.text.reply { fill: var(--card); stroke: var(--good); stroke-width: 2; }
.mark.text.refused { fill: var(--card); stroke: var(--bad); stroke-width: 2; }
.mark.phone { fill: var(--info); } .mark.phone.granted { fill: var(--good); } .mark.phone.revoked { fill: var(--bad); }
.mark.fault { fill: var(--bad); }
.legend { display: flex; flex-wrap: wrap; gap: 4px 18px; list-style: none; padding: 0; color: var(--soft); font-size: 13px; }
.legend i { display: inline-block; width: 10px; height: 10px; margin-right: 6px; border-radius: 50%; background: var(--good); }
.legend .session { background: var(--ink); border-radius: 2px; } .legend .reply { background: none; border: 2px solid var(--good); }
.legend .refused { background: none; border: 2px solid var(--bad); } .legend .said { background: var(--info); }
.legend .fault { background: var(--bad); border-radius: 0; clip-path: polygon(50% 0, 100% 100%, 0 100%); }
.legend .trouble { background: var(--wash); border: 1px solid var(--line); border-radius: 2px; }
.story { list-style: none; margin: 0; padding: 0; } .story li { display: grid; grid-template-columns: 216px 1fr; gap: 16px;
  padding: 7px 0; border-top: 1px solid var(--line); }
.story time, .detail { color: var(--soft); } .story .fault b, .story .refused b { color: var(--bad); }
.bubble { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 8px 12px; margin: 6px 0 2px;
  max-width: 62ch; white-space: pre-wrap; overflow-wrap: anywhere; }
.phone .bubble { border-color: var(--info); }
details { margin-top: 24px; } summary { cursor: pointer; }
@media (max-width: 640px) { .story li { grid-template-columns: 1fr; gap: 0; } main { padding: 16px 10px; } }
"""
