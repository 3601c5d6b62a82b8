// Runs state machines in aws-local-stepfunctions. Each line of the input is a game: {"machines":
// {arn: definition}, "top": arn, "input": ..., "replies": {node: {"output": ...} or {"error":
// name}}, "rests": whether it is to stay in a Wait, which lasts a year in our machines}. Each line
// of the output is {"status": ..., "started": [the inputs of tasks], "errors": [messages]}.
import { createInterface } from "node:readline";
import { StateMachine } from "aws-local-stepfunctions";

// The one thing of Node 22 that the package uses; the project's tests run on Node 20 too.
Promise.withResolvers ??= () => {
  const made = {};
  made.promise = new Promise((resolve, reject) => Object.assign(made, { resolve, reject }));
  return made;
};
process.on("unhandledRejection", () => {}); // of branches whose execution is over

const failure = (name) => Object.assign(new Error(name), { name });

const statesOf = ({ States }) =>
  Object.entries(States).flatMap(([name, state]) => [
    [name, state],
    ...(state.Branches ?? []).flatMap(statesOf),
  ]);

const run = (game, arn, input) => {
  const definition = game.machines[arn];
  const named = (type, value) =>
    Object.fromEntries(
      statesOf(definition)
        .filter(([, state]) => state.Type === type)
        .map(([name, state]) => [name, value(state)]),
    );
  const machine = new StateMachine(definition, { validationOptions: { noValidate: true } });
  return machine.run(input, {
    overrides: {
      taskResourceLocalHandlers: named("Task", (state) => handlerOf(game, state)),
      waitTimeOverrides: named("Wait", () => LONGEST), // a timer of Node's cannot take a year
    },
    context: { Execution: { Id: arn } },
  });
};

const handlerOf = (game, state) => (input) => {
  game.moved = Date.now();
  return state.Resource.includes(":activity:") ? answer(game, input) : nest(game, input);
};

const answer = (game, input) => {
  game.started.push(input);
  const { error, output } = game.replies[input.n];
  if (error) throw failure(error);
  return output;
};

const nest = async (game, { StateMachineArn, Input }) => {
  try {
    const nested = run(game, StateMachineArn, Input);
    return { Output: await nested.result };
  } catch (error) {
    game.errors.push(error.message);
    throw failure("States.TaskFailed");
  }
};

const LONGEST = 2 ** 31 - 1;
const REST = 300; // ms without a new task
const GIVE_UP = 60_000;
const rests = (game) =>
  new Promise((found) => {
    const look = setInterval(() => {
      if (Date.now() - game.moved > (game.rests ? REST : GIVE_UP)) {
        clearInterval(look);
        found("RUNNING");
      }
    }, 20);
  });

const play = async (game) => {
  game.started = [];
  game.errors = [];
  game.moved = Date.now();
  const execution = run(game, game.top, game.input);
  const ended = execution.result.then(
    () => "SUCCEEDED",
    (error) => {
      game.errors.push(error.message);
      return "FAILED";
    },
  );
  const status = await Promise.race([ended, rests(game)]);
  return { status, started: game.started, errors: game.errors };
};

for await (const line of createInterface({ input: process.stdin })) {
  console.log(JSON.stringify(await play(JSON.parse(line))));
}
process.exit(); // Waits of a year hold it otherwise
