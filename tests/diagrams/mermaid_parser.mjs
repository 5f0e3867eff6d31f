// Parses Mermaid diagrams with mermaid itself. Reads {name: text} as JSON from stdin, writes
// {name: {error} or {type, labels, edges}} to stdout. It stands in the directory that has node_modules.
import { readFileSync } from "node:fs";
import { JSDOM } from "jsdom";

const { window } = new JSDOM(""); // mermaid sanitizes labels with what a browser has
globalThis.window = window;
globalThis.document = window.document;
const { default: mermaid } = await import("mermaid");
mermaid.initialize({ startOnLoad: false });
const limit = mermaid.mermaidAPI.defaultConfig.maxTextSize;
const decoded = (text) => text.replaceAll("ﬂ°°", "&#").replaceAll("ﬂ°", "&").replaceAll("¶ß", ";");

const told = {};
for (const [name, text] of Object.entries(JSON.parse(readFileSync(0, "utf8")))) {
  try {
    if (text.length > limit) throw new Error(`${text.length} characters are more than the ${limit} that are drawn`);
    await mermaid.parse(text);
    const { type, db } = await mermaid.mermaidAPI.getDiagramFromText(text);
    const vertices = db.getVertices ? [...db.getVertices().values()] : [];
    told[name] = {
      type,
      labels: Object.fromEntries(vertices.map(({ id, text }) => [id, decoded(text)])),
      edges: db.getEdges ? db.getEdges().length : db.getRelations().length,
    };
  } catch (error) {
    told[name] = { error: String(error) };
  }
}
process.stdout.write(JSON.stringify(told));
