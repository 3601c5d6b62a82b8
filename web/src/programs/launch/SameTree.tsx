import { useMutation } from "@tanstack/react-query";

import { IN_CLOUD } from "@/api/deployment";
import { programApi } from "@/programs/api/programs";
import type { ProgramView } from "@/api/schema";
import { Button } from "@/components/Button";
import { FormError } from "@/components/ConfirmDialog";
import { CopyButton } from "@/components/CopyButton";
import { Icon } from "@/components/Icon";
import { toast } from "@/components/toasts";
import { gitLaunchUrl, navigate, pipelineUrl } from "@/lib/location";
import { isFromGit } from "@/programs/model/gitLaunch";
import { LaunchHead } from "@/programs/launch/LaunchHead";
import styles from "@/programs/launch/LaunchPage.module.css";

/** Launches the same tree, where the program cannot be started. */
export function SameTree({ program }: { program: ProgramView }) {
  const { pipeline: summary, call, problem } = program;
  const launch = useLaunchSame(summary.pipeline.id);
  const hasRepository = call === null ? isFromGit(summary.pipeline.program) : call.repository;
  const inRepository = IN_CLOUD && hasRepository !== null && hasRepository !== false;
  return (
    <>
      <LaunchHead summary={summary}>
        <Button onClick={() => navigate(pipelineUrl(summary.pipeline.id))}>Cancel</Button>
        <Button variant="main" disabled={launch.isPending} onClick={() => launch.mutate()}>
          <Icon name="play" />
          {launch.isPending ? "Launching…" : "Launch the same tree"}
        </Button>
      </LaunchHead>
      <div className={`page ${styles.same}`}>
        {inRepository ? (
          <section className={styles.line}>
            <p>To change parameters, the branch or the commit, launch its script from Git.</p>
            <Button onClick={() => navigate(gitLaunchUrl(summary.pipeline.id))}>
              <Icon name="branch" />
              Launch from Git
            </Button>
          </section>
        ) : problem === null ? null : (
          <p>{`Parameters cannot be changed here: ${problem}.`}</p>
        )}
        <FormError error={launch.error} />
        {call === null || Object.keys(summary.pipeline.arguments).length === 0 ? null : (
          <section>
            <h2>It is launched with the same values:</h2>
            <dl className={styles.values}>
              {Object.entries(summary.pipeline.arguments).map(([name, word]) => (
                <div key={name}>
                  <dt>{name}</dt>
                  <dd className="mono">{word}</dd>
                </div>
              ))}
            </dl>
          </section>
        )}
        <CommandLine program={program} />
      </div>
    </>
  );
}

/** The command line that launched the pipeline, to copy. */
export function CommandLine({ program }: { program: ProgramView }) {
  const { command_line: line, pipeline } = program;
  if (line === null) return null;
  const name = `Command line of ${pipeline.pipeline.id}`;
  return (
    <section>
      <div className={styles.line}>
        <h2>{name}</h2>
        <CopyButton text={line} label="Copy the command line" />
      </div>
      <pre className={styles.command} tabIndex={0} role="region" aria-label={name}>
        {line}
      </pre>
    </section>
  );
}

/** Launches the tree of a pipeline and opens the new pipeline. */
export function useLaunchSame(id: string) {
  return useMutation({
    mutationFn: () => programApi.launchAgain(id, { run: true, title: null }),
    onSuccess: ({ pipeline }) => {
      toast(`Launched: ${pipeline.title}`);
      navigate(pipelineUrl(pipeline.id));
    },
  });
}
