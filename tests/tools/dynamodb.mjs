// Serves dynalite on a free port of the loopback, with the one operation that it lacks and we need:
// TransactWriteItems. Its conditions are judged by dynalite's own code, and its changes are
// dynalite's PutItem, UpdateItem and DeleteItem. Requests run one after the other, so a transaction
// is atomic. Prints its URL. POST /reset starts over with no tables, and answers the URL of dynalite
// alone.
import { createServer, request } from "node:http";
import { createRequire } from "node:module";
import dynalite from "dynalite";

const require = createRequire(import.meta.url);
const db = require("dynalite/db");
const validations = require("dynalite/validations");
const operations = {
  Put: { target: "PutItem", ...require("dynalite/validations/putItem") },
  Update: { target: "UpdateItem", ...require("dynalite/validations/updateItem") },
  Delete: { target: "DeleteItem", ...require("dynalite/validations/deleteItem") },
  // It has the fields of a deletion and changes nothing.
  ConditionCheck: { target: null, ...require("dynalite/validations/deleteItem") },
};
const limits = { options: { maxItemSize: 400 * 1024 } };
const invalid = (message) => ({ __type: "com.amazon.coral.validate#ValidationException", message });

const listening = (server) =>
  new Promise((ready) => server.listen(0, "127.0.0.1", () => ready(server.address().port)));
let bare;
const reset = async () => {
  bare = await listening(dynalite({ createTableMs: 0, deleteTableMs: 0 }));
  return `http://127.0.0.1:${bare}`;
};
await reset();

const bodyOf = async (stream) => {
  const parts = [];
  for await (const part of stream) parts.push(part);
  return Buffer.concat(parts);
};

const ask = (headers, body) =>
  new Promise((answered, failed) => {
    const sent = { ...headers, "content-length": Buffer.byteLength(body) };
    const inner = request({ port: bare, method: "POST", path: "/", headers: sent }, async (answer) =>
      answered({ status: answer.statusCode, headers: answer.headers, body: await bodyOf(answer) }),
    );
    inner.on("error", failed);
    inner.end(body);
  });

const call = async (headers, operation, data) => {
  const target = { ...headers, "x-amz-target": `DynamoDB_20120810.${operation}` };
  const { status, body } = await ask(target, JSON.stringify(data));
  return { status, data: JSON.parse(body) };
};

// Return the operations, each with the key of its item and its condition, as dynalite reads it.
const prepared = async (headers, items) => {
  const keys = {};
  return Promise.all(
    items.map(async (item) => {
      const [kind] = Object.keys(item);
      const { target, types, custom } = operations[kind];
      const data = validations.checkTypes(structuredClone(item[kind]), types);
      validations.checkValidations(data, types, custom, limits);
      const name = data.TableName;
      keys[name] ??= call(headers, "DescribeTable", { TableName: name });
      const names = (await keys[name]).data.Table.KeySchema.map((each) => each.AttributeName);
      const whole = data.Item ?? data.Key;
      const key = Object.fromEntries(names.map((each) => [each, whole[each]]));
      return { target, asked: item[kind], data, key };
    }),
  );
};

const refused = async (headers, { data, key }) => {
  if (!data._condition) return false;
  const found = await call(headers, "GetItem", { TableName: data.TableName, Key: key, ConsistentRead: true });
  return db.checkConditional(data, found.data.Item) != null;
};

const transact = async (headers, { TransactItems: items }) => {
  if (items.length > 100) return [400, invalid("Member must have length less than or equal to 100")];
  const operations = await prepared(headers, items);
  const targets = operations.map(({ data, key }) => JSON.stringify([data.TableName, key]));
  if (new Set(targets).size < targets.length)
    return [400, invalid("Transaction request cannot include multiple operations on one item")];
  const codes = [];
  for (const each of operations)
    codes.push((await refused(headers, each)) ? "ConditionalCheckFailed" : "None");
  if (codes.some((code) => code !== "None")) {
    const message = `Transaction cancelled, please refer cancellation reasons for specific reasons [${codes.join(", ")}]`;
    const reasons = codes.map((Code) => ({ Code }));
    const type = "com.amazonaws.dynamodb.v20120810#TransactionCanceledException";
    return [400, { __type: type, Message: message, CancellationReasons: reasons }];
  }
  for (const { target, asked } of operations) {
    if (target === null) continue;
    const { status, data } = await call(headers, target, asked);
    if (status !== 200) return [status, data];
  }
  return [200, {}];
};

const respond = async (asked, response) => {
  const body = await bodyOf(asked);
  if (asked.url === "/reset") {
    response.end(await reset());
    return;
  }
  if (asked.headers["x-amz-target"] !== "DynamoDB_20120810.TransactWriteItems") {
    const answer = await ask(asked.headers, body);
    response.writeHead(answer.status, answer.headers).end(answer.body);
    return;
  }
  let answer;
  try {
    answer = await transact(asked.headers, JSON.parse(body));
  } catch (error) {
    if (!error.statusCode) throw error;
    answer = [error.statusCode, error.body]; // what dynalite says against the request
  }
  response.writeHead(answer[0], { "content-type": "application/x-amz-json-1.0" });
  response.end(JSON.stringify(answer[1]));
};

let turn = Promise.resolve();
const front = createServer((asked, response) => {
  turn = turn.then(() => respond(asked, response));
});
console.log(`http://127.0.0.1:${await listening(front)}`);
process.stdin.on("end", () => process.exit()).resume(); // ends with its parent process
