import { useEffect, useRef, useState } from "react";

import type { ProgramCall, ProgramView } from "@/api/schema";
import { Button } from "@/components/Button";
import { FormError } from "@/components/ConfirmDialog";
import { Icon } from "@/components/Icon";
import { submitWithCtrlEnter } from "@/components/submitWithCtrlEnter";
import { toast } from "@/components/toasts";
import { useSubmitOnce } from "@/components/useSubmitOnce";
import { navigate, pipelineUrl } from "@/lib/location";
import { plural } from "@/lib/time";
import {
  argumentsOf,
  changesOf,
  initialWords,
  itemsOf,
  problemsOf,
  wordOfItems,
  type Words,
} from "@/programs/model/parameters";
import { Fields } from "@/programs/launch/Fields";
import { LaunchHead } from "@/programs/launch/LaunchHead";
import styles from "@/programs/launch/LaunchPage.module.css";
import { RunFields, type RunOptions } from "@/programs/launch/RunFields";
import { CommandLine, useLaunchSame } from "@/programs/launch/SameTree";
import { SidePanel } from "@/programs/launch/SidePanel";
import { type Starting, useProgramStart } from "@/programs/launch/useProgramStart";

interface Props {
  program: ProgramView;
  call: ProgramCall;
}

/** The fields of a program, and the buttons that plan and launch it. */
export function LaunchForm({ program, call }: Props) {
  const { id } = program.pipeline.pipeline;
  const [words, setWords] = useState<Words>(() => initialWords(call));
  const [options, setOptions] = useState<RunOptions>({
    run: true,
    title: call.title ?? "",
    rest: wordOfItems(call.rest),
  });
  const [isChecked, setChecked] = useState(false);
  const starting = useProgramStart(id);
  const form = useRef<HTMLFormElement>(null);
  const changes = changesOf(call, words);
  const request = JSON.stringify([words, options.rest]);
  const [sent, setSent] = useState("");
  const rejected = sent === request ? (starting.current?.problems ?? {}) : {};
  const wrong = problemsOf(call, words);
  const problems = isChecked ? { ...rejected, ...wrong } : rejected;
  useOpenLaunched(starting);
  useFocusOnProblem(form, problems);

  const begin = (action: "launch" | "plan") => {
    setChecked(true);
    if (Object.keys(wrong).length > 0 || starting.isRunning) return;
    setSent(request);
    starting.begin({
      action,
      arguments: argumentsOf(call, words),
      rest: itemsOf(options.rest),
      run: options.run,
      title: options.title.trim() === "" ? null : options.title.trim(),
    });
  };
  const submit = (event: { preventDefault: () => void }) => {
    event.preventDefault();
    begin("launch");
  };
  const count = Object.keys(problems).length;
  return (
    <form
      ref={form}
      className={styles.form}
      noValidate
      onSubmit={submit}
      onKeyDown={submitWithCtrlEnter}
    >
      <LaunchHead summary={program.pipeline}>
        {count === 0 ? null : <span className={styles.fix}>{`Fix ${plural(count, "field")}`}</span>}
        <Button onClick={() => navigate(pipelineUrl(id))}>Cancel</Button>
        <Button variant="main" type="submit" shortcut="Control+Enter" disabled={starting.isRunning}>
          <Icon name="play" />
          Launch
        </Button>
      </LaunchHead>
      <div className={styles.body}>
        <div className={styles.main}>
          <Notes program={program} call={call} unplaced={unplaced(call, problems)} />
          <section aria-labelledby="parameters">
            <h2 id="parameters">
              Parameters{" "}
              <small>{`of ${call.function}(), ${call.script.split("/").at(-1) ?? ""}`}</small>
            </h2>
            {call.parameters.length === 0 ? (
              <p className="muted">The function has no parameters.</p>
            ) : (
              <Fields
                call={call}
                words={words}
                changed={new Set(changes.map((one) => one.name))}
                problems={problems}
                onChange={(name, word) => setWords((before) => ({ ...before, [name]: word }))}
              />
            )}
          </section>
          <RunFields options={options} hasRest={call.rest.length > 0} onChange={setOptions} />
          <LaunchSame id={id} />
          <CommandLine program={program} />
        </div>
        <SidePanel
          id={id}
          starting={starting}
          changes={changes}
          isOutdated={sent !== request}
          onPlan={() => begin("plan")}
        />
      </div>
    </form>
  );
}

/** Open the pipeline once it is launched. */
function useOpenLaunched({ current }: Starting): void {
  const pipeline = current?.pipeline ?? null;
  useEffect(() => {
    if (pipeline === null) return;
    toast(`Launched: ${pipeline}`);
    navigate(pipelineUrl(pipeline));
  }, [pipeline]);
}

/** Focus the first field with a problem when problems appear. */
export function useFocusOnProblem(
  form: React.RefObject<HTMLFormElement | null>,
  problems: Readonly<Record<string, string>>,
): void {
  const hasProblems = Object.keys(problems).length > 0;
  useEffect(() => {
    if (hasProblems) form.current?.querySelector<HTMLElement>("[aria-invalid=true]")?.focus();
  }, [form, hasProblems]);
}

/** The reasons that belong to no field, such as those of secrets. */
function unplaced(call: ProgramCall, problems: Readonly<Record<string, string>>): string[] {
  const shown = new Set(call.parameters.filter((one) => !one.secret).map((one) => one.name));
  return Object.entries(problems)
    .filter(([name]) => !shown.has(name))
    .map(([name, reason]) => `${name}: ${reason}`);
}

function Notes({ program, call, unplaced }: Props & { unplaced: readonly string[] }) {
  const secrets = call.parameters.filter((one) => one.secret).map((one) => one.name);
  return (
    <>
      {unplaced.map((text) => (
        <p key={text} className="form-error" role="alert">
          {text}
        </p>
      ))}
      {program.script_changed ? (
        <p className={styles.note}>
          The script has changed since this pipeline was launched. If its parameters changed, too,
          it reports an error.
        </p>
      ) : null}
      {secrets.length === 0 ? null : (
        <p
          className={styles.note}
        >{`Without a field, because values of secrets are not stored: ${secrets.join(", ")}.`}</p>
      )}
    </>
  );
}

function LaunchSame({ id }: { id: string }) {
  const launch = useLaunchSame(id);
  const submitOnce = useSubmitOnce(launch.isPending);
  return (
    <section className={styles.line}>
      <p className="muted">
        The same tree and parameters, without running the script: for a script that was deleted or
        has changed.
      </p>
      <Button disabled={launch.isPending} onClick={() => submitOnce(() => launch.mutate())}>
        Launch the same tree
      </Button>
      <FormError error={launch.error} />
    </section>
  );
}
