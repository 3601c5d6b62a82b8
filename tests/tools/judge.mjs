// Reads definitions, one JSON document a line, and prints what the validator says against any of
// them as JSON: [{"line": 0, "errors": [...]}]. One process for a batch: it starts slowly.
import { createInterface } from "node:readline";
import validator from "asl-validator";

const found = [];
let line = 0;
for await (const text of createInterface({ input: process.stdin })) {
  const { errors } = validator(JSON.parse(text));
  if (errors.length > 0) {
    found.push({ line, errors: errors.map((error) => `${error["Error code"]}: ${error.Message ?? JSON.stringify(error)}`) });
  }
  line += 1;
}
process.stdout.write(JSON.stringify(found));
