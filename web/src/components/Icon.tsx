/**
 * Paths of the icons of 16 px with a stroke of 1.5; states have their own (`StateIcon`). An element
 * in their place would keep the first page that showed it, because Preact links elements to it.
 */
const ICONS = {
  activity: "M1.8 8h2.7l2-5 3 10 2-5h2.7",
  back: "M10 3.5L5.5 8l4.5 4.5",
  bell: "M4 11.5V7a4 4 0 0 1 8 0v4.5zM2.5 11.5h11M6.8 13.8h2.4",
  branch:
    "M4.5 5.5v5M4.5 10.5a1.5 1.5 0 1 0 0 3 1.5 1.5 0 0 0 0-3zM4.5 2.5a1.5 1.5 0 1 0 0 3 1.5 1.5 0 0 0 0-3zM11.5 2.5a1.5 1.5 0 1 0 0 3 1.5 1.5 0 0 0 0-3zM11.5 5.5c0 3-7 1.5-7 5",
  chevron: "M4.5 6.5L8 10l3.5-3.5",
  clock: "M8 2.5a5.5 5.5 0 1 0 0 11 5.5 5.5 0 0 0 0-11zM8 5v3.2l2.2 1.3",
  close: "M4 4l8 8M12 4l-8 8",
  cloud: "M4.8 12.5a3 3 0 0 1-.4-6 4 4 0 0 1 7.6.9 2.6 2.6 0 0 1-.4 5.1z",
  compare: "M5 2.5v11M5 2.5 2.8 5M5 2.5 7.2 5M11 13.5v-11M11 13.5 8.8 11M11 13.5l2.2-2.5",
  file: "M4 1.8h5l3 3v9.4H4zM9 1.8v3h3",
  folder: "M1.8 3.5h4.4l1.5 1.8h6.5v7.2H1.8z",
  download: "M8 2.5v8M4.8 7.5L8 10.7l3.2-3.2M3 13.5h10",
  trash: "M3 4.5h10M6.5 4V2.5h3V4M4.5 4.5l.5 9h6l.5-9",
  copy: "M7 5.5h5a1.5 1.5 0 0 1 1.5 1.5v5a1.5 1.5 0 0 1-1.5 1.5H7A1.5 1.5 0 0 1 5.5 12V7A1.5 1.5 0 0 1 7 5.5zM10.5 5.5v-2a1 1 0 0 0-1-1h-6a1 1 0 0 0-1 1v6a1 1 0 0 0 1 1h2",
  data: "M3 4.5C3 3.4 5.2 2.5 8 2.5s5 .9 5 2-2.2 2-5 2-5-.9-5-2zM3 4.5v7c0 1.1 2.2 2 5 2s5-.9 5-2v-7M3 8c0 1.1 2.2 2 5 2s5-.9 5-2",
  filter: "M2.5 4h11M4.5 8h7M6.5 12h3",
  flag: "M4 14V2.8M4 3.5h8l-2 2.75 2 2.75H4",
  image: "M8 2l5 2.8v6.4L8 14l-5-2.8V4.8zM3 4.8l5 2.8 5-2.8M8 7.6V14",
  key: "M5.5 8a2.5 2.5 0 1 0 0 5 2.5 2.5 0 0 0 0-5zM7.4 8.7 13 3M10.5 5.5l2 2",
  laptop: "M3.5 3.5h9v7h-9zM2 13h12",
  list: "M6 4h7.5M6 8h7.5M6 12h7.5M2.5 4h.6M2.5 8h.6M2.5 12h.6",
  moon: "M13 9.6A5.5 5.5 0 1 1 6.4 3a4.4 4.4 0 0 0 6.6 6.6z",
  more: "M3 7.6a.4.4 0 1 0 .01 0zM8 7.6a.4.4 0 1 0 .01 0zM13 7.6a.4.4 0 1 0 .01 0z",
  pause: "M5.5 3.5v9M10.5 3.5v9",
  people:
    "M6 3a2.2 2.2 0 1 0 0 4.4A2.2 2.2 0 0 0 6 3zM1.5 13c0-2.3 1.8-3.7 4.5-3.7s4.5 1.4 4.5 3.7M10.5 3.2a2.2 2.2 0 0 1 0 4.2M12 9.6c1.6.5 2.5 1.7 2.5 3.4",
  person: "M8 2.5a2.5 2.5 0 1 0 0 5 2.5 2.5 0 0 0 0-5zM3 13.5c0-2.5 2-4 5-4s5 1.5 5 4",
  play: "M5 3.2v9.6L12.5 8z",
  plus: "M8 3v10M3 8h10",
  programs: "M3 2.5h3.5v3.5H3zM9.5 2.5H13v3.5H9.5zM3 9.5h3.5V13H3zM9.5 9.5H13V13H9.5z",
  rerun: "M13 8a5 5 0 1 1-1.5-3.6L13 6M13 2.5V6H9.5",
  help: "M8 1.8a6.2 6.2 0 1 0 0 12.4A6.2 6.2 0 0 0 8 1.8zM6.2 6.3a1.8 1.8 0 1 1 2.6 1.6c-.5.3-.8.6-.8 1.2M8 11.2v.1",
  search: "M7 2.5a4.5 4.5 0 1 0 0 9 4.5 4.5 0 0 0 0-9zM10.3 10.3l3.2 3.2",
  server: "M2.5 3h11v4h-11zM2.5 9h11v4h-11zM5 5h.3M5 11h.3",
  settings: "M2.5 5h6M11.5 5h2M2.5 11h2M7.5 11h6M10 3.5v3M6 9.5v3",
  share: "M8 10V2.5M5.2 5 8 2.2 10.8 5M4.5 7.5h-1v6h9v-6h-1",
  sun: "M8 5.5a2.5 2.5 0 1 0 0 5 2.5 2.5 0 0 0 0-5zM8 2v1.3M8 12.7V14M2 8h1.3M12.7 8H14M3.8 3.8l.9.9M11.3 11.3l.9.9M12.2 3.8l-.9.9M4.7 11.3l-.9.9",
  system: "M8 2.5a5.5 5.5 0 1 0 0 11zM8 2.5a5.5 5.5 0 1 1 0 11",
  tag: "M2.5 2.5h5l6 6-5 5-6-6zM5.3 5.3h.1",
  terminal: "M3 4.5L6.5 8 3 11.5M8 12h5",
} satisfies Record<string, string>;

export type IconName = keyof typeof ICONS;

/** An icon. Set `label` if no text next to it has the same meaning. */
export function Icon({ name, label }: { name: IconName; label?: string }) {
  return (
    <svg
      className="icon"
      viewBox="0 0 16 16"
      width="16"
      height="16"
      fill="none"
      stroke="currentColor"
      strokeWidth="1.5"
      strokeLinecap="round"
      strokeLinejoin="round"
      {...(label === undefined ? { "aria-hidden": true } : { role: "img", "aria-label": label })}
    >
      {label === undefined ? null : <title>{label}</title>}
      <path d={ICONS[name]} />
    </svg>
  );
}
