// Which machines stand beside one another and which behind: the line's links as stages, in flow order.

/**
 * Stages of machine names, first to last: a machine stands behind all that feed it, by the longest way; those that no
 * link names stand alone, where the configuration has them. `links`: [{from: [...], to: [...]}].
 */
export function stagesOf(names, links) {
  const feeders = new Map(names.map((name) => [name, new Set()]));
  for (const { from, to } of links) for (const fed of to) for (const feeder of from) feeders.get(fed)?.add(feeder);
  const level = new Map();
  const place = (name, way) => {
    if (level.has(name)) return level.get(name);
    if (way.has(name)) return 0;
    const before = [...feeders.get(name)].filter((feeder) => feeders.has(feeder));
    const found = before.length === 0 ? 0 : 1 + Math.max(...before.map((feeder) => place(feeder, new Set(way).add(name))));
    level.set(name, found);
    return found;
  };
  if (links.length === 0) return names.map((name) => [name]);
  const stages = [];
  for (const name of names) (stages[place(name, new Set())] ??= []).push(name);
  return stages.filter((stage) => stage !== undefined);
}

/** The links that lead into a stage; one that feeds several stages belongs to the first. */
export function linksInto(stage, stages, links) {
  const first = ({ to }) => stages.find((one) => one.some((name) => to.includes(name)));
  return links.filter((link) => first(link) === stage);
}
