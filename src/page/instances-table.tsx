/** One row an instance, as `gsup ls` has them; services with several have a row of their own above. */
import { memo } from 'preact/compat';
import { useMemo } from 'preact/hooks';
import { formatSize } from '../core/size.ts';
import type { FeedRow } from '../http/feed-message.ts';
import { phraseOf, toneOf } from './phrase.ts';
import { hashOf } from './route.ts';

export type TableProps = {
  readonly rows: readonly FeedRow[];
  readonly now: number;
  readonly chosen: string | null;
  readonly isFiltered: boolean;
  readonly isKnown: boolean;
};

export function InstancesTable({ rows, now, chosen, isFiltered, isKnown }: TableProps) {
  const groups = useMemo(() => groupsOf(rows), [rows]);
  if (rows.length === 0) {
    const nothing = isFiltered ? 'nothing of that kind' : 'no services; "gsup start app.js" adds one';
    return <p class="empty">{isKnown ? nothing : ''}</p>;
  }
  return (
    <div class="scroll">
      <table>
        <thead>
          <tr>
            <th scope="col">Name</th>
            <th scope="col">Status</th>
            <th scope="col" class="number">
              Pid
            </th>
            <th scope="col" class="number">
              Restarts
            </th>
            <th scope="col" class="number">
              CPU
            </th>
            <th scope="col" class="number">
              Memory
            </th>
          </tr>
        </thead>
        {groups.map((group) => (
          <tbody key={group.service}>
            {group.rows.length > 1 && <ServiceRow {...group} isChosen={chosen === group.service} />}
            {group.rows.map((row) => (
              <InstanceRow
                key={row.key}
                row={row}
                phrase={phraseOf(row, now)}
                isInside={group.rows.length > 1}
                isChosen={chosen === row.instance}
              />
            ))}
          </tbody>
        ))}
      </table>
    </div>
  );
}

type Group = { readonly service: string; readonly rows: readonly FeedRow[] };

function ServiceRow({ service, rows, isChosen }: Group & { readonly isChosen: boolean }) {
  const ready = rows.filter((row) => row.ready && row.spare === null).length;
  const wanted = rows.filter((row) => row.spare === null).length;
  const sum = (of: (row: FeedRow) => number | null) => rows.reduce((total, row) => total + (of(row) ?? 0), 0);
  return (
    <tr class="service" aria-current={isChosen ? 'true' : undefined}>
      <th scope="rowgroup">
        <a href={hashOf(service)} id={`row-${service}`}>
          {service}
        </a>
      </th>
      <td class="dim">
        {ready} of {wanted} ready
      </td>
      <td />
      <td class="number dim">{sum((row) => row.restarts)}</td>
      <td class="number dim">{percent(sum((row) => row.cpuPercent))}</td>
      <td class="number dim">{formatSize(sum((row) => row.memoryBytes))}</td>
    </tr>
  );
}

type RowProps = {
  readonly row: FeedRow;
  readonly phrase: string;
  readonly isInside: boolean;
  readonly isChosen: boolean;
};

const InstanceRow = memo(function InstanceRow({ row, phrase, isInside, isChosen }: RowProps) {
  const { instance, pid, restarts, cpuPercent, memoryBytes, spare } = row;
  return (
    <tr class={isInside ? 'inside' : ''} aria-current={isChosen ? 'true' : undefined}>
      <th scope="row">
        <a href={hashOf(instance)} id={spare === null ? `row-${instance}` : undefined}>
          {instance}
        </a>
      </th>
      <td class={`status ${toneOf(row)}`} title={phrase}>
        {phrase}
      </td>
      <td class="number">{pid ?? '–'}</td>
      <td class="number">{restarts}</td>
      <td class="number">{cpuPercent === null ? '–' : percent(cpuPercent)}</td>
      <td class="number">{memoryBytes === null ? '–' : formatSize(memoryBytes)}</td>
    </tr>
  );
});

function groupsOf(rows: readonly FeedRow[]): readonly Group[] {
  const groups = new Map<string, FeedRow[]>();
  for (const row of rows) {
    const group = groups.get(row.service);
    if (group === undefined) groups.set(row.service, [row]);
    else group.push(row);
  }
  return [...groups].map(([service, own]) => ({ service, rows: own }));
}

function percent(value: number): string {
  return `${value.toFixed(1)}%`;
}
