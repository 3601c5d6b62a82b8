import { useMutation } from "@tanstack/react-query";
import { useRef, useState } from "react";

import { messageOf } from "@/api/client";
import { programApi } from "@/programs/api/programs";
import type { ProgramCall } from "@/api/schema";
import { Button } from "@/components/Button";
import { FormError } from "@/components/ConfirmDialog";
import { Icon } from "@/components/Icon";
import { toast } from "@/components/toasts";
import { useSubmitOnce } from "@/components/useSubmitOnce";
import { followLink, navigate, pipelineUrl } from "@/lib/location";
import { commandLine } from "@/lib/shell";
import {
  callWords,
  type GitField,
  type GitFields,
  gitProblems,
  gitRequest,
  httpsUrl,
  serverProblem,
  splitWords,
} from "@/programs/model/gitLaunch";
import {
  changesOf,
  initialWords,
  problemsOf,
  wordOfItems,
  type Words,
} from "@/programs/model/parameters";
import { Fields } from "@/programs/launch/Fields";
import { useFocusOnProblem } from "@/programs/launch/LaunchForm";
import { LaunchHead } from "@/programs/launch/LaunchHead";
import styles from "@/programs/launch/LaunchPage.module.css";
import { RunFields, type RunOptions } from "@/programs/launch/RunFields";
import { TextParameter } from "@/programs/launch/TextParameter";
import fieldStyles from "@/programs/launch/Fields.module.css";
import { GIT_LAUNCH, LAUNCH } from "@/programs/texts/launch";

/** What the form starts with; `call` has the parameters of the function. */
export interface Origin {
  fields: GitFields;
  call: ProgramCall | null;
}

export function GitLaunchForm({ origin: { fields: given, call } }: { origin: Origin }) {
  const form = useRef<HTMLFormElement>(null);
  const [fields, setFields] = useState(given);
  const [words, setWords] = useState<Words>(() => (call === null ? {} : initialWords(call)));
  const [options, setOptions] = useState<RunOptions>({
    run: true,
    title: "",
    rest: wordOfItems(call?.rest ?? []),
  });
  const [isChecked, setChecked] = useState(false);
  const launch = useLaunchFromGit();
  const submitOnce = useSubmitOnce(launch.isPending);
  const rejected = launch.isError ? serverProblem(messageOf(launch.error)) : null;
  const wrong = { ...gitProblems(fields), ...(call === null ? {} : problemsOf(call, words)) };
  const problems: Record<string, string> = { ...rejected, ...(isChecked ? wrong : {}) };
  useFocusOnProblem(form, problems);
  const count = Object.keys(problems).length;
  const spoken = call === null ? splitWords(fields.line) : callWords(call, words, options.rest);
  const change = (name: GitField, value: string) => {
    setFields((before) => ({ ...before, [name]: value }));
    if (!launch.isPending) launch.reset(); // else the button would launch again
  };
  const text = (name: GitField) => ({
    name,
    value: fields[name],
    problem: problems[name],
    onChange: (value: string) => change(name, value),
    ...GIT_LAUNCH.fields[name],
  });
  return (
    <form
      ref={form}
      className={styles.form}
      noValidate
      onSubmit={(event) => {
        event.preventDefault();
        setChecked(true);
        if (Object.keys(wrong).length > 0) return;
        submitOnce(() => launch.mutate(gitRequest(fields, spoken ?? [], options)));
      }}
    >
      <LaunchHead heading={GIT_LAUNCH.heading}>
        {count === 0 ? null : <span className={styles.fix}>{LAUNCH.fix(count)}</span>}
        <Button onClick={() => navigate("/")}>{LAUNCH.cancel}</Button>
        <Button variant="main" type="submit" disabled={launch.isPending}>
          <Icon name="play" />
          {launch.isPending ? LAUNCH.launching : LAUNCH.launch}
        </Button>
      </LaunchHead>
      <div className={styles.body}>
        <div className={styles.main}>
          {rejected === null ? <FormError error={launch.error} /> : null}
          <section aria-labelledby="repository">
            <h2 id="repository">{GIT_LAUNCH.repository}</h2>
            <div className={fieldStyles.fields}>
              <TextParameter
                {...text("url")}
                wide
                required
                onBlur={() => {
                  const url = httpsUrl(fields.url);
                  if (url !== fields.url) change("url", url);
                }}
              />
              <TextParameter {...text("ref")} />
              <TextParameter {...text("script")} required />
            </div>
          </section>
          <section aria-labelledby="parameters">
            <h2 id="parameters">
              {LAUNCH.parameters}{" "}
              {call === null ? null : (
                <small>{LAUNCH.parametersOf(call.function, fields.script)}</small>
              )}
            </h2>
            {call === null ? (
              <div className={fieldStyles.fields}>
                <TextParameter {...text("line")} wide />
              </div>
            ) : (
              <Fields
                call={call}
                words={words}
                changed={new Set(changesOf(call, words).map((one) => one.name))}
                problems={problems}
                onChange={(name, word) => setWords((before) => ({ ...before, [name]: word }))}
              />
            )}
          </section>
          <RunFields
            options={options}
            hasRest={(call?.rest.length ?? 0) > 0}
            onChange={setOptions}
          />
          <section aria-labelledby="image">
            <h2 id="image">{GIT_LAUNCH.environment}</h2>
            <div className={fieldStyles.fields}>
              <TextParameter {...text("image")} required />
            </div>
          </section>
        </div>
        <Steps fields={fields} words={spoken ?? []} />
      </div>
    </form>
  );
}

/** What a launch does, beside the fields. */
function Steps({ fields, words }: { fields: GitFields; words: readonly string[] }) {
  return (
    <div className={styles.side}>
      <section className={styles.card} aria-labelledby="steps">
        <h2 id="steps">{GIT_LAUNCH.steps}</h2>
        <ol className={styles.steps}>
          <li>{GIT_LAUNCH.cloneStep(fields.ref.trim())}</li>
          <li>
            {GIT_LAUNCH.scriptStep}
            <pre className={styles.command}>
              {commandLine("python", fields.script.trim(), ...words)}
            </pre>
          </li>
          <li>{GIT_LAUNCH.runStep}</li>
        </ol>
      </section>
      <section className={styles.card} aria-labelledby="private">
        <h2 id="private">{GIT_LAUNCH.private}</h2>
        <p className="muted">
          {GIT_LAUNCH.privateHelp}{" "}
          <a href="/secrets" onClick={followLink}>
            {GIT_LAUNCH.secrets}
          </a>
        </p>
      </section>
    </div>
  );
}

function useLaunchFromGit() {
  return useMutation({
    mutationFn: programApi.launchFromGit,
    onSuccess: ({ pipeline }) => {
      toast(LAUNCH.launched(pipeline.title));
      navigate(pipelineUrl(pipeline.id));
    },
  });
}
