// Layout and looks of the page.

import { FONT } from "./elements.js";

export const STYLE = `
.vaslab-explorer { box-sizing: border-box; width: 100%; padding: 14px 16px 12px; border-radius: 6px; color: var(--vx-text);
  background: var(--vx-ground); font: 13px/1.4 ${FONT}; position: relative; overflow-x: auto; }
.vaslab-explorer *, .vaslab-explorer *::before { box-sizing: border-box; }
.vaslab-explorer canvas { display: block; }
.vaslab-explorer :focus-visible { outline: 2px solid var(--vx-accent); outline-offset: 2px; border-radius: 3px; }
.vx-top, .vx-bar, .vx-tools, .vx-itembar, .vx-pins, .vx-windows { display: flex; flex-wrap: wrap; align-items: center; gap: 6px 14px; }
.vx-top { align-items: flex-start; justify-content: space-between; margin-bottom: 8px; }
.vx-title { font-size: 18px; font-weight: 700; line-height: 1.25; }
.vx-sub, .vx-dim, .vx-foot, .vx-label > span { color: var(--vx-muted); }
.vx-sub { font-size: 12.5px; }
.vx-controls { display: flex; flex-wrap: wrap; gap: 6px 10px; align-items: center; }
.vx-label { display: inline-flex; align-items: center; gap: 6px; font-size: 12.5px; }
.vaslab-explorer button, .vaslab-explorer select, .vaslab-explorer input[type=search], .vaslab-explorer textarea { font: inherit;
  font-size: 12.5px; color: var(--vx-text); background: var(--vx-field); border: 1px solid var(--vx-line); border-radius: 5px; padding: 2px 9px; margin: 0; }
.vaslab-explorer select { padding: 2px 4px; max-width: 190px; }
.vaslab-explorer button { cursor: pointer; }
.vaslab-explorer button:hover:not(:disabled, [aria-disabled=true]) { border-color: var(--vx-accent); }
.vaslab-explorer button:disabled, .vaslab-explorer button[aria-disabled=true] { opacity: 1; color: var(--vx-muted); cursor: default; }
.vaslab-explorer button[aria-pressed=true], .vaslab-explorer button[aria-expanded=true], .vaslab-explorer .vx-main { background: var(--vx-accent);
  color: var(--vx-ground); border-color: var(--vx-accent); }
.vaslab-explorer input[type=range] { width: 96px; accent-color: var(--vx-accent); margin: 0; }
.vaslab-explorer input[type=checkbox] { accent-color: var(--vx-accent); margin: 0; }
.vx-itembar { border: solid var(--vx-grid); border-width: 1px 0; padding: 7px 0; margin-bottom: 10px; gap: 6px 10px; align-items: flex-start; }
.vx-nav { display: inline-flex; gap: 4px; flex: none; }
.vx-question { flex: 1 1 300px; min-width: 0; max-height: 62px; overflow-y: auto; overflow-wrap: anywhere; white-space: pre-wrap; }
.vx-question b { font-weight: 600; }
.vx-edit { display: inline-block; padding: 0 6px; margin-right: 4px; border: 1px solid var(--vx-more); border-radius: 4px; color: var(--vx-more); font-weight: 600; }
.vx-right { color: var(--vx-up); font-weight: 600; white-space: nowrap; }
.vx-wrong { color: var(--vx-more); font-weight: 600; white-space: nowrap; }
.vx-items { margin-bottom: 12px; }
.vx-bar { margin-bottom: 6px; }
.vx-bar input { width: 230px; }
.vx-scroll { max-height: 208px; overflow-y: auto; border: 1px solid var(--vx-line); border-radius: 5px; }
.vx-scroll button { margin: 2px; }
.vx-table { border-collapse: collapse; width: 100%; font-size: 12.5px; margin: 0; table-layout: auto; color: var(--vx-text); }
.vx-table caption { text-align: left; padding: 4px 8px; font-weight: 600; color: var(--vx-text); }
.vx-table th, .vx-table td { text-align: left; padding: 3px 8px; border-bottom: 1px solid var(--vx-grid); max-width: 220px; overflow: hidden;
  text-overflow: ellipsis; white-space: nowrap; vertical-align: middle; background: none; color: inherit; }
.vx-table th { white-space: normal; position: sticky; top: 0; background: var(--vx-field); font-weight: 600; z-index: 1; }
.vx-table td.vx-long { max-width: 380px; }
.vx-two td.vx-long { max-width: 220px; }
.vx-two td.vx-answer { max-width: 150px; }
.vx-table td.vx-number { font-variant-numeric: tabular-nums; }
.vx-items tbody tr { cursor: pointer; }
.vx-items tbody tr:hover, .vx-table tr.vx-chosen { background: var(--vx-field); }
.vx-table tr.vx-chosen td:first-child { box-shadow: inset 3px 0 var(--vx-accent); }
.vx-track { display: inline-block; position: relative; width: 64px; height: 9px; background: linear-gradient(var(--vx-reference), var(--vx-reference)) center/1px 100% no-repeat; }
.vx-rod { position: absolute; top: 0; height: 100%; }
.vx-looks { border: 1px solid var(--vx-line); border-left: 4px solid #0b7a75; border-radius: 5px; padding: 7px 12px; margin-bottom: 12px; }
.vx-looks .vx-bar { margin: 0; }
.vaslab-explorer .vx-looks input { font: inherit; font-size: 12.5px; width: 130px; color: var(--vx-text); background: var(--vx-field); border: 1px solid var(--vx-line); border-radius: 5px; padding: 2px 6px; }
.vx-looks .vx-label { margin-left: auto; }
.vx-ranks { display: flex; flex-wrap: wrap; align-items: center; gap: 4px 8px; margin: 6px 0 4px; }
.vx-ranks ol { display: flex; flex-wrap: wrap; gap: 5px; list-style: none; margin: 0; padding: 0; }
.vx-ranks button { position: relative; display: inline-flex; gap: 8px; padding: 2px 8px 6px; font-variant-numeric: tabular-nums; }
.vx-share { position: absolute; left: 0; bottom: 0; height: 4px; background: #0b7a75; border-radius: 0 2px 2px 4px; }
.vx-body { display: grid; gap: 14px 26px; align-items: start; }
.vx-maps { display: flex; gap: 18px; align-items: flex-end; }
.vx-maps > div { min-width: 0; }
.vx-map { cursor: crosshair; touch-action: manipulation; }
.vx-name { font-weight: 600; }
.vx-name span { font-weight: 400; color: var(--vx-muted); font-size: 12px; }
.vx-head { margin-bottom: 5px; }
.vx-masses { margin-bottom: 6px; }
.vx-head b { font-size: 14.5px; font-weight: 700; }
.vx-shares { display: flex; flex-wrap: wrap; gap: 2px 12px; align-items: center; font-size: 12.5px; }
.vx-shares i { display: inline-block; width: 9px; height: 9px; border-radius: 2px; margin-right: 5px; }
.vx-stackbar { display: flex; width: 100%; max-width: 420px; height: 9px; border-radius: 3px; overflow: hidden; background: var(--vx-grid); margin: 4px 0 3px; }
.vx-pins { gap: 5px; margin-top: 8px; }
.vx-pins span { display: inline-flex; }
.vx-pins span button:first-child { border-radius: 5px 0 0 5px; }
.vx-pins span button:last-child { border-radius: 0 5px 5px 0; border-left: 0; padding: 2px 6px; }
.vx-panes { display: contents; }
.vx-pair .vx-panes { display: grid; grid-template-columns: minmax(0, 1fr) minmax(0, 1fr); gap: 14px 26px; }
.vx-stack { position: relative; }
.vx-stack canvas { position: absolute; inset: 0; }
.vx-tools { margin: 7px 0; font-size: 12.5px; }
.vx-peak { margin-top: 5px; font-variant-numeric: tabular-nums; }
.vx-key > div { flex: 1 1 190px; }
.vx-key { display: flex; flex-wrap: wrap; gap: 2px 14px; align-items: flex-start; margin-top: 5px; font-size: 12px; }
.vx-note { font-size: 12.5px; color: var(--vx-muted); }
.vx-note.vx-differs { color: var(--vx-more); font-weight: 600; }
.vx-thumbs { display: flex; gap: 5px; flex-wrap: wrap; margin-bottom: 5px; }
.vx-rows .vx-name { margin-top: 2px; }
.vx-tokens { max-height: 156px; overflow-y: auto; display: flex; flex-wrap: wrap; gap: 3px; padding: 4px; margin: 2px -4px 4px; line-height: 1.5; }
.vx-tokens span[data-row] { padding: 0 4px; border-radius: 3px; cursor: pointer; white-space: pre; max-width: 100%; overflow: hidden; text-overflow: ellipsis; }
.vx-tokens .vx-pin { outline: 2px solid var(--vx-text); }
.vx-tokens .vx-hover { outline: 1.5px solid var(--vx-muted); }
.vx-windows { gap: 8px; margin-bottom: 4px; }
.vx-live { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(max(380px, 45%), 100%), 1fr)); gap: 10px 24px; border: 1px solid var(--vx-line); border-radius: 6px; padding: 10px 12px; margin-bottom: 12px; }
.vx-fields { display: grid; gap: 6px; }
.vx-fields .vx-label { display: grid; grid-template-columns: 116px minmax(0, 1fr) 52px; }
.vx-fields textarea { grid-column: 2 / 4; resize: vertical; width: 100%; }
.vx-fields input[type=range] { width: 100%; }
.vx-drop { display: flex; gap: 12px; border: 1px dashed var(--vx-reference); border-radius: 6px; padding: 8px; }
.vx-drop > div { display: grid; gap: 5px; align-content: start; min-width: 0; }
.vx-drop > div > .vx-label:first-child { display: grid; gap: 3px; }
.vx-drop input[type=file] { font: inherit; font-size: 12px; color: var(--vx-text); max-width: 190px; }
.vx-over-drop { border-color: var(--vx-accent); background: var(--vx-field); }
.vx-preview { border: 1px solid var(--vx-line); border-radius: 4px; flex: none; }
.vx-draft select { max-width: 100px; }
.vx-draft { display: flex; flex-wrap: wrap; gap: 5px 8px; align-items: center; }
.vx-raster { display: grid; grid-template-columns: repeat(3, 20px); gap: 2px; }
.vaslab-explorer .vx-cell { width: 20px; height: 20px; padding: 0; border-radius: 3px; }
.vx-send { grid-column: 1 / -1; display: flex; flex-wrap: wrap; gap: 4px 14px; align-items: center; }
.vx-reply { white-space: pre-wrap; overflow-wrap: anywhere; }
.vx-numbers { display: grid; grid-template-columns: repeat(auto-fit, minmax(290px, 1fr)); gap: 12px; margin-top: 12px; }
.vx-numbers .vx-scroll { max-height: 300px; }
.vx-foot { font-size: 12px; margin-top: 12px; border-top: 1px solid var(--vx-grid); padding-top: 7px; overflow-wrap: anywhere; }
.vx-foot kbd { font: inherit; border: 1px solid var(--vx-line); border-radius: 3px; padding: 0 4px; background: var(--vx-field); color: var(--vx-text); }
.vx-tip { position: absolute; z-index: 9; pointer-events: none; white-space: pre; font-size: 12px; line-height: 1.4; padding: 5px 9px; border-radius: 5px;
  background: var(--vx-text); color: var(--vx-ground); box-shadow: 0 2px 8px rgba(0,0,0,.25); }
.vx-sr { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
.vaslab-explorer [hidden] { display: none !important; }
.vaslab-explorer[data-size=narrow] .vx-maps, .vaslab-explorer[data-size=narrow] .vx-pair .vx-panes { display: grid; grid-template-columns: minmax(0, 1fr); }
`;
