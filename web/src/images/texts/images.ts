/** The texts of the page "images". */

import { plural } from "@/lib/time";

export const IMAGE_PAGE = {
  buildFailed: "build failed",
  buildLog: "Build log",
  buildSteps: "Build steps",
  built: "built",
  builtWhen: "The image is built before the first command that uses it.",
  cached: "cached",
  copyImageReference: "Copy image reference",
  cut: (size: string) => `; the first ${size} are not shown`,
  existed: "The image already existed, so no build was needed.",
  finding: "Finding commands that use this image…",
  image: (name: string) => `Image ${name}`,
  noBuildOutput: "No build output",
  noOutputYet: "No output yet…",
  noUser: "No command uses this image, so there is no need to build it.",
  notBuiltYet: "Not built yet",
  rebuild: "Rebuild",
  rebuildEffect: "The image will be rebuilt, and these nodes reset:",
  rebuildTitle: (image: string) => `Rebuild ${image}?`,
  reference: "Reference",
  soFar: " so far",
  started: "Started",
  title: "Images",
  tooManyUsers: "Too many nodes use this image. Rebuild from a group in the tree instead.",
  took: (time: string) => `, took ${time}`,
};

export const IMAGES = {
  none: "This pipeline has no images",
  plainProcesses: "Its commands run as plain processes on this machine.",
  rebuildAndRerun: (count: number) => `Rebuild and rerun ${plural(count, "command")}`,
  rebuilding: (image: string, count: number) =>
    `Rebuilding ${image} and rerunning ${plural(count, "command")}`,
  unused: "None of its commands uses an image.",
};
