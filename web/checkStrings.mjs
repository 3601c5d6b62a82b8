/** Checks that texts for the user are in folders `texts`, except code, keys and the name of the app. */

import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

import ts from "typescript";

const src = fileURLToPath(new URL("src/", import.meta.url));
const SHOWN = ["aria-label", "title", "label", "placeholder", "alt", "action", "dismiss", "hint"];
/** Elements with code or the names of keys. */
const CODE = ["code", "kbd", "pre"];
const NAMES = ["Conducto"];

const errors = [];

function isText(text) {
  return /\p{L}{2}/u.test(text) && !NAMES.includes(text.trim());
}

function isCode(node) {
  return ts.isJsxElement(node) && CODE.includes(node.openingElement.tagName.getText());
}

function isLiteral(node) {
  return ts.isStringLiteral(node) || ts.isNoSubstitutionTemplateLiteral(node);
}

/** The literal parts of the value of an attribute or a child, also of those of a condition. */
function literals(node) {
  if (node === undefined) return [];
  if (isLiteral(node)) return [node.text];
  if (ts.isTemplateExpression(node)) {
    return [node.head.text, ...node.templateSpans.map((span) => span.literal.text)];
  }
  if (ts.isJsxExpression(node) || ts.isParenthesizedExpression(node)) {
    return literals(node.expression);
  }
  if (ts.isConditionalExpression(node)) {
    return [...literals(node.whenTrue), ...literals(node.whenFalse)];
  }
  return [];
}

function shownBy(node) {
  if (ts.isJsxText(node)) return isCode(node.parent) ? [] : [node.text];
  if (ts.isJsxAttribute(node)) {
    return SHOWN.includes(node.name.getText()) ? literals(node.initializer) : [];
  }
  const isChild = ts.isJsxExpression(node) && !ts.isJsxAttribute(node.parent);
  return isChild && !isCode(node.parent) ? literals(node.expression) : [];
}

function check(name) {
  const text = readFileSync(src + name, "utf8");
  const file = ts.createSourceFile(name, text, ts.ScriptTarget.Latest, true, ts.ScriptKind.TSX);
  const visit = (node) => {
    for (const found of shownBy(node).filter(isText)) {
      const { line } = file.getLineAndCharacterOfPosition(node.getStart());
      errors.push(`src/${name}:${line + 1}: move to a file in texts/: ${found.trim()}`);
    }
    ts.forEachChild(node, visit);
  };
  visit(file);
}

readdirSync(src, { recursive: true })
  .filter((name) => name.endsWith(".tsx"))
  .forEach(check);
for (const error of errors) console.error(error);
process.exitCode = errors.length > 0 ? 1 : 0;
