import { api } from "@/api/client";
import type { PipelineSummary } from "@/api/schema";
import { Button } from "@/components/Button";
import { showHelp } from "@/components/help";
import { Icon, type IconName } from "@/components/Icon";
import { Menu, type MenuEntry } from "@/components/Menu";
import { useMediaQuery } from "@/components/useMediaQuery";
import { watchPipeline } from "@/components/useNotifications";
import { StatePill } from "@/components/StatePill";
import { launchUrl, navigate, programUrl } from "@/lib/location";
import { useWatched } from "@/lib/watched";
import { moment } from "@/lib/time";
import { ROOT } from "@/run/model/paths";
import { programQuery } from "@/programs/model/programIdentity";
import { type HeaderAction, headerActions, pipelineState } from "@/run/model/pipelineStatus";
import type { Actions } from "@/run/actions/useActions";
import { HeaderNotes, Times } from "@/run/page/HeaderFacts";
import { PipelineHead } from "@/run/page/PipelineHead";
import { ShareButton, useShare } from "@/run/page/Share";
import styles from "@/run/page/PipelineHead.module.css";
import type { PipelineView } from "@/run/page/PipelineNav";

const ACTIONS = {
  run: "Run",
  pause: "Pause",
  cancel: "Cancel",
  rerunFailed: "Rerun failed",
  rerunKilled: "Rerun",
  rerunAll: "Rerun all",
  launchAgain: "Launch again",
  sleep: "Sleep",
  wake: "Wake",
  archive: "Archive",
};

interface Props {
  summary: PipelineSummary;
  view: PipelineView;
  actions: Actions;
  /** A node is open. */
  node?: boolean;
}

export function PipelineHeader({ summary, view, actions, node = false }: Props) {
  const { pipeline, counts } = summary;
  const facts = (
    <>
      <StatePill state={pipelineState(summary)} />
      <Times summary={summary} />
      <HeaderNotes summary={summary} />
    </>
  );
  return (
    <>
      <PipelineHead
        {...pipeline}
        history={programUrl(programQuery(pipeline))}
        view={view}
        counts={counts}
        facts={facts}
        node={node}
      >
        <HeaderButtons summary={summary} actions={actions} />
      </PipelineHead>
      <Banners summary={summary} />
    </>
  );
}

const ICONS: Partial<Record<HeaderAction, IconName>> = {
  run: "play",
  pause: "pause",
  cancel: "close",
  rerunFailed: "rerun",
  rerunKilled: "rerun",
  rerunAll: "rerun",
  launchAgain: "play",
};
/** Share is in the menu here, so that the state and the reasons have room. */
const NARROW = "(max-width: 1400px)";
/** Keys of the tree and the node. */
const KEYS: Partial<Record<HeaderAction, string>> = { run: "g", pause: "g" };

function execute(actions: Actions, action: HeaderAction, id: string): void {
  switch (action) {
    case "launchAgain":
      navigate(launchUrl(id));
      break;
    case "rerunFailed":
    case "rerunKilled":
      void actions.rerunFailed(ROOT);
      break;
    case "rerunAll":
      void actions.nodes("rerun", [ROOT], true);
      break;
    default:
      void actions.pipeline(action);
  }
}

/** The primary action of the state, a second one, and a menu of the others. */
function HeaderButtons({ summary, actions }: Pick<Props, "summary" | "actions">) {
  const { primary, secondary, strong, menu } = headerActions(summary);
  const watched = useWatched().includes(summary.pipeline.id);
  const { share, dialog } = useShare(summary.pipeline.id);
  const narrow = useMediaQuery(NARROW);
  const button = (action: HeaderAction, variant: "main" | "plain" | "quiet") => (
    <Button
      key={action}
      variant={variant}
      disabled={actions.busy}
      onClick={() => execute(actions, action, summary.pipeline.id)}
      {...(KEYS[action] === undefined ? {} : { shortcut: KEYS[action] })}
    >
      {ICONS[action] === undefined ? null : <Icon name={ICONS[action]} />}
      {ACTIONS[action]}
    </Button>
  );
  const entries: MenuEntry[] = menu.map((action) => ({
    label: ACTIONS[action],
    onSelect: () => execute(actions, action, summary.pipeline.id),
  }));
  const schedule = () => navigate(`/schedules?pipeline=${summary.pipeline.id}`);
  const isShown = secondary === null && summary.settled && !narrow;
  entries.push(
    ...(isShown ? [] : [{ label: "Schedule", onSelect: schedule }]),
    "separator",
    {
      label: "Notify me when it ends or fails",
      checked: watched,
      onSelect: () => void watchPipeline(summary.pipeline.id, !watched),
    },
    ...(narrow ? [{ label: "Share", onSelect: share }] : []),
    {
      label: "Download report",
      download: api.exportFile(summary.pipeline.id),
    },
    { label: "Help and keyboard shortcuts", shortcut: "?", onSelect: () => showHelp(true) },
  );
  return (
    <>
      <div className={styles.actions} role="toolbar" aria-label="Pipeline">
        {secondary === null ? null : button(secondary, "plain")}
        {isShown ? (
          <Button variant="plain" onClick={schedule}>
            <Icon name="clock" />
            Schedule
          </Button>
        ) : null}
        {primary === null ? null : button(primary, strong ? "main" : "plain")}
      </div>
      {narrow ? null : <ShareButton onClick={share} />}
      {dialog}
      <Menu label="More" entries={entries} />
    </>
  );
}

/** Problems that the user should solve. */
function Banners({ summary: { pipeline, images } }: { summary: PipelineSummary }) {
  const { problem, foreign_change: change, owner } = pipeline;
  const failed = images.filter((image) => image.state === "error").map((image) => image.name);
  const texts: string[] = [];
  if (problem !== null) texts.push(`Paused: ${problem}`);
  if (change !== null) {
    const kind = change.change.replace("_", " ");
    texts.push(
      `Commands run without the user secrets of ${owner}: ${change.by} changed this pipeline (${kind}, ${moment(change.time)}). To run with your own secrets, launch it again.`,
    );
  }
  if (failed.length > 0) texts.push(`Could not build the image ${failed.join(", ")}.`);
  return texts.map((text) => (
    <p key={text} className={styles.banner}>
      {text}
    </p>
  ));
}
