// The recording in memory and the sums that everything else shows.
//
// Words: a *row* is (thread, bucket, node, flags) with its ticks; for nodes see call_tree.js. Rows are sorted by process,
// thread, bucket.

const STATE_BITS = 15;
const GIL_BIT = 16;
const GC_BIT = 32;

class Recording extends CallTree {
  constructor({ meta, columns }) {
    super(meta);
    this.tickSeconds = meta.header.interval_ns / 1e9;
    this.bucketTicks = meta.bucket_ticks;
    this.bucketCount = meta.bucket_count;
    this.bucketSeconds = this.bucketTicks * this.tickSeconds;
    // All ticks in here count from the first tick that is left; `moment` turns them back into the clock's.
    this.firstTick = meta.first_tick;
    this.ticks = Math.max(1, meta.until_tick - meta.first_tick);
    this.duration = this.ticks * this.tickSeconds;
    this.stateCount = meta.states.length;
    this.processes = meta.processes;
    this.threads = meta.threads;
    this.rowThread = columns.row_thread;
    this.rowBucket = columns.row_bucket;
    this.rowNode = columns.row_node;
    this.rowFlags = columns.row_flags;
    this.rowTicks = columns.row_ticks;
    this.rowCount = this.rowTicks.length;
    this.metrics = columns;
    this.readFunctions();
    this.readNodes(columns);
    this.readThreads();
    this.markOutermost();
  }

  /**
   * All sums of one view of the recording.
   *
   * `filter`: from and to (buckets, to excluded), states (a bit for each), process, thread. Units: ticks.
   * Cost: one pass over the rows, two over the nodes.
   */
  sum(filter) {
    const { from, to, states } = filter;
    const mask = this.threadMask(filter);
    const own = new Float64Array(this.nodeCount);
    const stateTicks = new Float64Array(this.stateCount);
    let gilTicks = 0;
    let gcTicks = 0;
    for (let thread = 0; thread < this.threads.length; thread += 1) {
      if (!mask[thread]) continue;
      for (let row = this.threadStart[thread]; row < this.threadStart[thread + 1]; row += 1) {
        const bucket = this.rowBucket[row];
        if (bucket < from || bucket >= to) continue;
        const flags = this.rowFlags[row];
        const ticks = this.rowTicks[row];
        stateTicks[flags & STATE_BITS] += ticks;
        if (flags & GIL_BIT) gilTicks += ticks;
        if (flags & GC_BIT) gcTicks += ticks;
        if ((states >> (flags & STATE_BITS)) & 1) own[this.rowNode[row]] += ticks;
      }
    }
    return { filter, mask, own, stateTicks, gilTicks, gcTicks, ...this.totals(own), get ticks() { return this.whole; } };
  }

  /** Tells the rows that a sum's filter leaves, each with its ticks. */
  eachCounted({ filter, mask }, each) {
    const { from, to, states } = filter;
    for (let thread = 0; thread < this.threads.length; thread += 1) {
      if (!mask[thread]) continue;
      for (let row = this.threadStart[thread]; row < this.threadStart[thread + 1]; row += 1) {
        const bucket = this.rowBucket[row];
        if (bucket < from || bucket >= to) continue;
        if ((states >> (this.rowFlags[row] & STATE_BITS)) & 1) each(row, this.rowTicks[row]);
      }
    }
  }

  /** Ticks per bucket in which a function was on the stack (all states of the filter, all time). */
  functionOverTime(code, sums) {
    const within = new Uint8Array(this.nodeCount);
    for (let node = 1; node < this.nodeCount; node += 1) {
      within[node] = this.nodeFunction[node] === code || within[this.nodeParent[node]] ? 1 : 0;
    }
    const ticks = new Float64Array(this.bucketCount);
    const { states } = sums.filter;
    for (let row = 0; row < this.rowCount; row += 1) {
      if (!within[this.rowNode[row]] || !sums.mask[this.rowThread[row]]) continue;
      if ((states >> (this.rowFlags[row] & STATE_BITS)) & 1) ticks[this.rowBucket[row]] += this.rowTicks[row];
    }
    return ticks;
  }

  /** Ticks per bucket and state of some threads: `states[bucket * stateCount + state]`, and of the GIL. */
  statesOverTime(threads) {
    const states = new Float64Array(this.bucketCount * this.stateCount);
    const gil = new Float64Array(this.bucketCount);
    const gc = new Float64Array(this.bucketCount);
    for (const thread of threads) {
      for (let row = this.threadStart[thread]; row < this.threadStart[thread + 1]; row += 1) {
        const flags = this.rowFlags[row];
        const bucket = this.rowBucket[row];
        states[bucket * this.stateCount + (flags & STATE_BITS)] += this.rowTicks[row];
        if (flags & GIL_BIT) gil[bucket] += this.rowTicks[row];
        if (flags & GC_BIT) gc[bucket] += this.rowTicks[row];
      }
    }
    return { states, gil, gc };
  }

  /** CPU seconds used and highest memory of each bucket, for one process (an index) or all (null). */
  usageOverTime(process) {
    const cpu = new Float64Array(this.bucketCount);
    const rss = new Float64Array(this.bucketCount);
    const { metric_process, metric_tick, metric_cpu_us, metric_rss_kib } = this.metrics;
    let any = false;
    for (let start = 0; start < metric_tick.length; ) {
      let stop = start;
      while (stop < metric_tick.length && metric_process[stop] === metric_process[start]) stop += 1;
      if (process === null || process === metric_process[start]) {
        any = true;
        const owner = this.processes[metric_process[start]];
        const born = owner.first_tick - this.firstTick;
        const gone = owner.last_tick - this.firstTick;
        let tick = Math.min(Math.max(0, born), metric_tick[start]);
        // What a process had used before time on the page begins does not belong on the line.
        let cpuUs = born < 0 || metric_tick[start] === 0 ? metric_cpu_us[start] : 0;
        for (let index = start; index < stop; index += 1) {
          this.spread(cpu, tick, metric_tick[index], (metric_cpu_us[index] - cpuUs) / 1e6);
          tick = metric_tick[index];
          cpuUs = metric_cpu_us[index];
          const next = index + 1 < stop ? metric_tick[index + 1] : Math.max(gone, tick + 1);
          const last = Math.min(this.bucketCount - 1, Math.ceil(next / this.bucketTicks) - 1);
          for (let bucket = Math.floor(tick / this.bucketTicks); bucket <= last; bucket += 1) {
            // One point per bucket: a bucket that begins a stretch belongs to its own point.
            if (index + 1 < stop && bucket === Math.floor(next / this.bucketTicks)) continue;
            rss[bucket] += metric_rss_kib[index] * 1024;
          }
        }
      }
      start = stop;
    }
    return any ? { cpu, rss } : null;
  }

  /** Adds `amount` to buckets in proportion to how much of [from, to) (ticks) lies in each. */
  spread(buckets, from, to, amount) {
    if (amount <= 0) return;
    const width = this.bucketTicks;
    if (to <= from) {
      buckets[Math.min(this.bucketCount - 1, Math.floor(to / width))] += amount;
      return;
    }
    for (let bucket = Math.floor(from / width); bucket < this.bucketCount && bucket * width < to; bucket += 1) {
      const overlap = Math.min(to, (bucket + 1) * width) - Math.max(from, bucket * width);
      buckets[bucket] += (amount * overlap) / (to - from);
    }
  }

  /** Length of a bucket in ticks; the last one may be shorter. */
  ticksOfBucket(bucket) {
    const rest = this.ticks - bucket * this.bucketTicks;
    return Math.max(1, Math.min(this.bucketTicks, rest));
  }

  /** Seconds since the start of the recording at which a bucket begins. */
  moment(bucket) {
    return (this.firstTick + Math.min(this.ticks, bucket * this.bucketTicks)) * this.tickSeconds;
  }

  seconds(ticks) {
    return ticks * this.tickSeconds;
  }

  /** Ticks as people read them. */
  format(ticks) {
    return formatTime(this.seconds(ticks));
  }

  /** What is said where nothing is counted: in the graph, and in a table. */
  nothing = ["No samples in this selection. Escape clears it; the chips above choose the states.", "Nothing here has samples in this selection."];

}
