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
import { plural } from "@/lib/time";
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

const FIELDS = {
  url: {
    label: "Repository",
    hint: "https://github.com/acme/app",
    help: "The address from which you clone it.",
  },
  ref: {
    label: "Branch, tag or commit",
    hint: "default branch",
    help: "A commit needs its full hash.",
  },
  script: {
    label: "Script",
    help: "The path of the Python script in the repository.",
  },
  line: {
    label: "Function and parameters",
    hint: "nightly --depth=3",
    help: "As on the command line, after the script. Empty: the script's default.",
  },
  image: {
    label: "Image",
    help: "Needs Python and the packages that the script imports. Conducto is added.",
  },
};

const cloneStep = (ref: string) =>
  ref === ""
    ? "The installation clones the default branch."
    : `The installation clones the repository at ${ref}.`;

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
    ...FIELDS[name],
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
      <LaunchHead heading="Launch from Git">
        {count === 0 ? null : <span className={styles.fix}>{`Fix ${plural(count, "field")}`}</span>}
        <Button onClick={() => navigate("/")}>Cancel</Button>
        <Button variant="main" type="submit" disabled={launch.isPending}>
          <Icon name="play" />
          {launch.isPending ? "Launching…" : "Launch"}
        </Button>
      </LaunchHead>
      <div className={styles.body}>
        <div className={styles.main}>
          {rejected === null ? <FormError error={launch.error} /> : null}
          <section aria-labelledby="repository">
            <h2 id="repository">Repository</h2>
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
              Parameters{" "}
              {call === null ? null : <small>{`of ${call.function}(), ${fields.script}`}</small>}
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
            <h2 id="image">Environment of the script</h2>
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
        <h2 id="steps">Steps</h2>
        <ol className={styles.steps}>
          <li>{cloneStep(fields.ref.trim())}</li>
          <li>
            The script builds the tree:
            <pre className={styles.command}>
              {commandLine("python", fields.script.trim(), ...words)}
            </pre>
          </li>
          <li>The tree runs, as after a launch from a terminal.</li>
        </ol>
      </section>
      <section className={styles.card} aria-labelledby="private">
        <h2 id="private">Private repositories</h2>
        <p className="muted">
          Store a token that may read the repository as your secret GITHUB_TOKEN or GITLAB_TOKEN.
          Other servers need a git trigger with a token.{" "}
          <a href="/secrets" onClick={followLink}>
            Open secrets
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
      toast(`Launched: ${pipeline.title}`);
      navigate(pipelineUrl(pipeline.id));
    },
  });
}
