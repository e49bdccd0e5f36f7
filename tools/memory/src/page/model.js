// The recording's memory, and the sums that everything else shows.
//
// A *row* is a thread's stack with an allocator: it stands at a node, and has sums over the whole recording. A *life* is
// what a row was given in one bucket of time and what was taken in another; a moment or a stretch is summed from lives.
// Rows are sorted by process, thread, node; lives by row. `data` in page.rs is the other half: change both together.

/** What may be shown: what it is called, and what about it is said. */
const VIEWS = {
  peak: { label: "Peak", about: "in use when most was" },
  moment: { label: "Moment", about: "in use at one moment: click on the time line" },
  left: { label: "Left", about: "given in the stretch, and still in use at its end: the leaks, where the stretch is the whole recording" },
  gone: { label: "Gone", about: "given in the stretch, and taken back within it" },
  given: { label: "Given", about: "all that was given in the stretch" },
  temporary: { label: "Temporary", about: "soon taken back" },
};

class Memory extends CallTree {
  constructor({ meta, columns }) {
    super(meta);
    this.tickSeconds = meta.header.interval_ns / 1e9;
    this.isExact = meta.exact;
    this.bucketTicks = meta.bucket_ticks;
    this.bucketCount = Math.max(1, meta.bucket_count);
    this.bucketSeconds = this.bucketTicks * this.tickSeconds;
    this.ticks = Math.max(1, meta.until_tick);
    this.duration = this.ticks * this.tickSeconds;
    this.peakBucket = Math.min(this.bucketCount - 1, Math.floor(meta.peak_tick / this.bucketTicks));
    this.processes = meta.processes;
    this.threads = meta.threads;
    this.columns = columns;
    this.rowThread = columns.row_thread;
    this.rowNode = columns.row_node;
    this.rowAllocator = columns.row_allocator;
    this.rowCount = this.rowNode.length;
    this.lifeRow = columns.life_row;
    this.lifeGiven = columns.life_given;
    this.lifeTaken = columns.life_length.map((length, life) => (length === 0 ? this.bucketCount : columns.life_given[life] + length - 1));
    this.allocators = [...new Set(this.rowAllocator)].sort((a, b) => a - b);
    this.readFunctions();
    this.readNodes(columns);
    this.readThreads();
    this.markOutermost();
    this.unit = "bytes";
    /** A column more in the table. */
    this.more = { title: "Blocks", about: "How many blocks it was given itself", of: (list, key, sums) => formatCount(sums.blocks[`${list}Own`][key]) };
  }

  /** Threads have no names here. */
  labelOfThread(thread, index) {
    if (thread.name) return thread.name;
    const process = this.processes[this.threadProcess[index]];
    if (thread.os_tid === 0) return "threads that had ended";
    return process && thread.os_tid === process.pid ? "main thread" : `thread ${thread.os_tid}`;
  }

  /** The views that this recording has. */
  views() {
    return Object.keys(VIEWS).filter((view) => this.isExact || (view !== "moment" && view !== "gone"));
  }

  isWhole({ from, to }) {
    return from === 0 && to === this.bucketCount;
  }

  /** All sums of one view; amounts are bytes or blocks, as `unit` says, and blocks are summed beside them. */
  sum(filter) {
    this.unit = filter.unit;
    const mask = this.threadMask(filter);
    const bytes = new Float64Array(this.rowCount);
    const blocks = new Float64Array(this.rowCount);
    this.addView(filter, bytes, blocks);
    const own = new Float64Array(this.nodeCount);
    const ownBlocks = new Float64Array(this.nodeCount);
    const ofAllocator = new Map(this.allocators.map((allocator) => [allocator, 0]));
    let allBytes = 0;
    let allBlocks = 0;
    const amounts = filter.unit === "blocks" ? blocks : bytes;
    for (let row = 0; row < this.rowCount; row += 1) {
      if (!mask[this.rowThread[row]]) bytes[row] = blocks[row] = 0;
      const allocator = this.rowAllocator[row];
      ofAllocator.set(allocator, ofAllocator.get(allocator) + amounts[row]);
      if (!((filter.allocators >> allocator) & 1)) bytes[row] = blocks[row] = 0;
      own[this.rowNode[row]] += amounts[row];
      ownBlocks[this.rowNode[row]] += blocks[row];
      allBytes += bytes[row];
      allBlocks += blocks[row];
    }
    return { filter, mask, own, amounts, ofAllocator, allBytes, allBlocks, blocks: this.totals(ownBlocks), ...this.totals(own) };
  }

  /** Adds what a view shows of each row. What is asked of the whole recording is exact, and needs no lives. */
  addView(filter, bytes, blocks) {
    const { columns } = this;
    const { view, from, to, at } = filter;
    const take = (name) => {
      bytes.set(columns[`${name}_bytes`]);
      blocks.set(columns[`${name}_blocks`]);
    };
    if (view === "peak" || view === "temporary") return take(view);
    if (this.isWhole(filter) && (view === "left" || view === "given")) return take(view);
    const isIn = {
      moment: (given, taken) => given <= at && taken > at,
      left: (given, taken) => given >= from && given < to && taken >= to,
      gone: (given, taken) => given >= from && taken < to,
      given: (given) => given >= from && given < to,
    }[view];
    for (let life = 0; life < this.lifeRow.length; life += 1) {
      if (!isIn(this.lifeGiven[life], this.lifeTaken[life])) continue;
      bytes[this.lifeRow[life]] += columns.life_bytes[life];
      blocks[this.lifeRow[life]] += columns.life_blocks[life];
    }
  }

  /** Tells the rows that are counted, each with its amount. */
  eachCounted({ amounts }, each) {
    for (let row = 0; row < this.rowCount; row += 1) if (amounts[row] > 0) each(row, amounts[row]);
  }

  format(amount) {
    return this.unit === "blocks" ? `${formatCount(amount)} ${amount === 1 ? "block" : "blocks"}` : formatBytes(amount);
  }

  nothing = ["No memory in this selection. Escape clears it; the buttons above choose what is shown.", "Nothing here has memory in this selection."];

  /**
   * Bytes in use at the end of each bucket, and bytes given in each, of the rows for which `isRow` holds.
   * Cost: one pass over the lives.
   */
  overTime(isRow) {
    const inUse = new Float64Array(this.bucketCount + 1);
    const given = new Float64Array(this.bucketCount);
    for (let life = 0; life < this.lifeRow.length; life += 1) {
      if (!isRow(this.lifeRow[life])) continue;
      const bytes = this.columns.life_bytes[life];
      const from = Math.min(this.bucketCount - 1, this.lifeGiven[life]);
      given[from] += bytes;
      inUse[from] += bytes;
      inUse[Math.min(this.bucketCount, this.lifeTaken[life])] -= bytes;
    }
    for (let bucket = 1; bucket < this.bucketCount; bucket += 1) inUse[bucket] += inUse[bucket - 1];
    return { inUse: inUse.subarray(0, this.bucketCount), given };
  }

  /** Whether a row is of the filter's threads and allocators. */
  rowMask({ mask, filter }) {
    return (row) => mask[this.rowThread[row]] === 1 && ((filter.allocators >> this.rowAllocator[row]) & 1) === 1;
  }

  /** As `overTime`, of the rows that a function is on the stack of. */
  functionOverTime(code, sums) {
    const within = new Uint8Array(this.nodeCount);
    for (let node = 1; node < this.nodeCount; node += 1) {
      within[node] = this.nodeFunction[node] === code || within[this.nodeParent[node]] ? 1 : 0;
    }
    const isRow = this.rowMask(sums);
    return this.overTime((row) => within[this.rowNode[row]] === 1 && isRow(row)).inUse;
  }

  /** Resident bytes of each bucket, of one process (an index) or all (null); null where nobody looked. */
  residentOverTime(process) {
    const { metric_process, metric_bucket, metric_rss_kib } = this.columns;
    const resident = new Float64Array(this.bucketCount);
    let any = false;
    for (let index = 0; index < metric_bucket.length; index += 1) {
      if (process !== null && process !== metric_process[index]) continue;
      any ||= metric_rss_kib[index] > 0;
      // It holds until the next look at the same process.
      const isLast = metric_process[index + 1] !== metric_process[index];
      const until = isLast ? metric_bucket[index] + 1 : metric_bucket[index + 1];
      for (let bucket = metric_bucket[index]; bucket < Math.min(until, this.bucketCount); bucket += 1) resident[bucket] += metric_rss_kib[index] * 1024;
    }
    return any ? resident : null;
  }

  /** Length of a bucket in ticks; the last one may be shorter. */
  ticksOfBucket(bucket) {
    return Math.max(1, Math.min(this.bucketTicks, this.ticks - bucket * this.bucketTicks));
  }

  /** Seconds since the start of the recording at which a bucket begins. */
  moment(bucket) {
    return Math.min(this.ticks, bucket * this.bucketTicks) * this.tickSeconds;
  }
}
