import com.fasterxml.jackson.annotation.JsonIgnoreProperties;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.ObjectReader;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.OffsetDateTime;
import java.util.Arrays;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.common.serialization.Deserializer;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StoreQueryParameters;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.errors.StreamsUncaughtExceptionHandler;
import org.apache.kafka.streams.processor.PunctuationType;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.KeyValueIterator;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.QueryableStoreTypes;
import org.apache.kafka.streams.state.Stores;

/**
 * The six KPIs in Kafka Streams: one thread, stores in memory with caching and changelogs as they
 * are by default, the Processor API, so that nothing goes through a repartition topic (each task
 * keeps the sums of its own partition, and a question adds them up, as in our worker).
 *
 * <p>The topology runs twice in one JVM over the same topics, under two application ids, so that the
 * measured pass finds compiled code.
 */
public final class SixKpis {
  private static final int RECEIVED = 0, OPEN = 1, CASES = 2, ON_TIME = 3, CASES_OPEN = 4, GMV = 5;
  private static final String[] NAMES = {
    "fr.received", "fr.open_now", "gov.cases_received", "gov.on_time_rate", "gov.open_now",
    "eco.gmv_vnd"
  };
  private static final Set<String> REPORT_OPEN =
      Set.of("received", "verifying", "assigned", "in_progress", "extended", "reopened");
  private static final Set<String> CASE_OPEN =
      Set.of("registered", "accepted", "processing", "supplement", "payment_due");
  private static final long PANE_MS = 10_000;

  /** 10-second panes are kept for three hours; an older milestone is in no window. */
  private static final long KEPT_MS = 3 * 3_600_000L;

  @JsonIgnoreProperties(ignoreUnknown = true)
  public static final class Event {
    public String type;
    public String time;
    public Data data;
  }

  /** The members of all kinds of entities that the six KPIs need. */
  @JsonIgnoreProperties(ignoreUnknown = true)
  public static final class Data {
    public long revision;
    public String case_id, report_id, store_id, order_id, status;
    public String province_code, district_code, commune_code;
    public String registered_at, solved_at, due_at, reported_at, completed_at;
    public long value_vnd;
  }

  /** The latest state of an entity: its revision and what it adds to which sums, sorted. */
  record State(long revision, long[] sums, long[] n, long[] d) {
    static final State NONE = new State(0, new long[0], new long[0], new long[0]);
  }

  record Amount(long n, long d) {}

  /** A sum is known by its KPI, district and pane, packed into one number. */
  static long sum(int kpi, int district, long pane) {
    return (long) kpi << 56 | (long) district << 40 | pane;
  }

  static final class Places {
    private final Map<String, String> provinces = new HashMap<>();
    private final Map<String, String> districts = new HashMap<>();
    private final Map<String, Integer> numbers = new HashMap<>();
    private final Map<Integer, String> rows = new HashMap<>();

    Places(Path folder) throws IOException {
      for (var row : Files.readAllLines(folder.resolve("territories.csv"))) {
        var cells = row.split(",");
        provinces.put(cells[2], cells[0]);
      }
      for (var row : Files.readAllLines(folder.resolve("communes.csv"))) {
        var cells = row.split(",");
        districts.put(cells[2], cells[1]);
      }
    }

    int of(Data data) {
      var district =
          data.district_code != null ? data.district_code : districts.get(data.commune_code);
      String row;
      if (district == null) row = data.province_code + ".none";
      else if (data.province_code.equals(provinces.get(district))) row = district;
      else row = data.province_code + ".unknown";
      var number = numbers.get(row);
      if (number == null) {
        number = numbers.size();
        numbers.put(row, number);
        rows.put(number, row);
      }
      return number;
    }
  }

  static final class EventDeserializer implements Deserializer<Event> {
    private final ObjectReader reader = new ObjectMapper().readerFor(Event.class);

    @Override
    public Event deserialize(String topic, byte[] bytes) {
      try {
        return reader.readValue(bytes);
      } catch (IOException error) {
        throw new IllegalArgumentException(error);
      }
    }
  }

  static Serde<State> stateSerde() {
    return Serdes.serdeFrom(
        (topic, state) -> {
          if (state == null) return null;
          var buffer = ByteBuffer.allocate(8 + 24 * state.sums.length).putLong(state.revision);
          for (int i = 0; i < state.sums.length; i++) {
            buffer.putLong(state.sums[i]).putLong(state.n[i]).putLong(state.d[i]);
          }
          return buffer.array();
        },
        (topic, bytes) -> {
          if (bytes == null) return null;
          var buffer = ByteBuffer.wrap(bytes);
          var revision = buffer.getLong();
          int count = buffer.remaining() / 24;
          var state = new State(revision, new long[count], new long[count], new long[count]);
          for (int i = 0; i < count; i++) {
            state.sums[i] = buffer.getLong();
            state.n[i] = buffer.getLong();
            state.d[i] = buffer.getLong();
          }
          return state;
        });
  }

  static Serde<Amount> amountSerde() {
    return Serdes.serdeFrom(
        (topic, a) -> a == null ? null : ByteBuffer.allocate(16).putLong(a.n).putLong(a.d).array(),
        (topic, bytes) -> {
          if (bytes == null) return null;
          var buffer = ByteBuffer.wrap(bytes);
          return new Amount(buffer.getLong(), buffer.getLong());
        });
  }

  /** How far one pass has come; there is one stream thread, so nothing needs a lock. */
  static final class Pass {
    final long events;
    final int tasks;
    final CountDownLatch flushed;
    volatile long absorbed;
    long beganNanos, beganMillis, beganCpu, endedNanos, endedCpu;

    Pass(long events, int tasks) {
      this.events = events;
      this.tasks = tasks;
      flushed = new CountDownLatch(tasks);
    }

    void absorb() {
      if (absorbed == 0) {
        beganMillis = System.currentTimeMillis();
        beganNanos = System.nanoTime();
        beganCpu = cpu();
      }
      absorbed++;
    }

    /** A task has committed after the last event; the last one ends the pass. */
    void flush() {
      endedNanos = System.nanoTime();
      endedCpu = cpu();
      flushed.countDown();
    }
  }

  static long cpu() {
    var bean = ManagementFactory.getOperatingSystemMXBean();
    return ((com.sun.management.OperatingSystemMXBean) bean).getProcessCpuTime();
  }

  static final class Fold implements Processor<String, Event, Void, Void> {
    private final Pass pass;
    private final Places places;
    private KeyValueStore<String, State> entities;
    private KeyValueStore<Long, Amount> sums;
    private final long[] keys = new long[4], n = new long[4], d = new long[4];
    private int count;
    private int committing;

    Fold(Pass pass, Places places) {
      this.pass = pass;
      this.places = places;
    }

    @Override
    public void init(ProcessorContext<Void, Void> context) {
      entities = context.getStateStore("entities");
      sums = context.getStateStore("sums");
      // Punctuation comes before the commit of a loop: at the second call the commit is through.
      context.schedule(
          Duration.ofMillis(5),
          PunctuationType.WALL_CLOCK_TIME,
          now -> {
            if (pass.absorbed < pass.events || committing > 1) return;
            if (committing++ == 0) context.commit();
            else pass.flush();
          });
    }

    private void add(int kpi, int district, long pane, long first, long second) {
      keys[count] = sum(kpi, district, pane);
      n[count] = first;
      d[count++] = second;
    }

    private void addAt(int kpi, int district, long at, long oldest, long first, long second) {
      if (at >= oldest) add(kpi, district, at / PANE_MS, first, second);
    }

    private static long instant(String text) {
      return OffsetDateTime.parse(text).toInstant().toEpochMilli();
    }

    @Override
    public void process(Record<String, Event> record) {
      var event = record.value();
      var data = event.data;
      switch (event.type) {
        case "ioc.admin_case.v1" -> fold(data.case_id, data, 0, record.timestamp());
        case "ioc.field_report.v1" -> fold(data.report_id, data, 1, record.timestamp());
        case "ioc.order.v1" ->
            fold(data.store_id + "|" + data.order_id, data, 2, record.timestamp());
        default -> {}
      }
      pass.absorb();
    }

    private void fold(String key, Data data, int kind, long arrival) {
      var old = entities.get(key);
      if (old == null) old = State.NONE;
      if (data.revision <= old.revision) return;
      long oldest = arrival - KEPT_MS;
      int district = places.of(data);
      count = 0;
      if (kind == 0) {
        addAt(CASES, district, instant(data.registered_at), oldest, 1, 0);
        if (data.solved_at != null && data.due_at != null) {
          long solved = instant(data.solved_at);
          addAt(ON_TIME, district, solved, oldest, solved <= instant(data.due_at) ? 1 : 0, 1);
        }
        if (CASE_OPEN.contains(data.status)) add(CASES_OPEN, district, 0, 1, 0);
      } else if (kind == 1) {
        addAt(RECEIVED, district, instant(data.reported_at), oldest, 1, 0);
        if (REPORT_OPEN.contains(data.status)) add(OPEN, district, 0, 1, 0);
      } else if (data.status.equals("completed") && data.completed_at != null) {
        addAt(GMV, district, instant(data.completed_at), oldest, data.value_vnd, 0);
      }
      for (int i = 0; i < count; i++) {
        int at = find(old.sums, old.sums.length, keys[i]);
        long hadN = at < 0 ? 0 : old.n[at], hadD = at < 0 ? 0 : old.d[at];
        if (n[i] != hadN || d[i] != hadD) change(keys[i], n[i] - hadN, d[i] - hadD);
      }
      for (int at = 0; at < old.sums.length; at++) {
        if (find(keys, count, old.sums[at]) < 0) {
          change(old.sums[at], -old.n[at], -old.d[at]);
        }
      }
      entities.put(
          key,
          new State(
              data.revision,
              Arrays.copyOf(keys, count),
              Arrays.copyOf(n, count),
              Arrays.copyOf(d, count)));
    }

    private static int find(long[] in, int length, long key) {
      for (int i = 0; i < length; i++) if (in[i] == key) return i;
      return -1;
    }

    private void change(long key, long first, long second) {
      var had = sums.get(key);
      sums.put(
          key,
          had == null
              ? new Amount(first, second)
              : new Amount(had.n + first, had.d + second));
    }
  }

  private static Topology topology(List<String> topics, Pass pass, Places places) {
    var topology = new Topology();
    topology.addSource(
        "events",
        Serdes.String().deserializer(),
        new EventDeserializer(),
        topics.toArray(String[]::new));
    topology.addProcessor("fold", () -> new Fold(pass, places), "events");
    topology.addStateStore(
        Stores.keyValueStoreBuilder(
                Stores.inMemoryKeyValueStore("entities"), Serdes.String(), stateSerde())
            .withCachingEnabled(),
        "fold");
    topology.addStateStore(
        Stores.keyValueStoreBuilder(
                Stores.inMemoryKeyValueStore("sums"), Serdes.Long(), amountSerde())
            .withCachingEnabled(),
        "fold");
    return topology;
  }

  private static Properties settings(String name, String bootstrap, Path folder) {
    var settings = new Properties();
    settings.put(StreamsConfig.APPLICATION_ID_CONFIG, name);
    settings.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, bootstrap);
    settings.put(StreamsConfig.STATE_DIR_CONFIG, folder.resolve(name).toString());
    settings.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, 1);
    settings.put("auto.offset.reset", "earliest");
    return settings;
  }

  private static Map<String, long[]> answers(KafkaStreams streams, Places places, long asOf) {
    var rows = new LinkedHashMap<String, long[]>();
    var store =
        streams.store(
            StoreQueryParameters.fromNameAndType(
                "sums", QueryableStoreTypes.<Long, Amount>keyValueStore()));
    long end = asOf / PANE_MS + 1;
    try (KeyValueIterator<Long, Amount> all = store.all()) {
      while (all.hasNext()) {
        var entry = all.next();
        int kpi = (int) (entry.key >>> 56);
        var district = places.rows.get((int) (entry.key >>> 40 & 0xFFFF));
        long pane = entry.key & 0xFF_FFFF_FFFFL;
        if (kpi == OPEN || kpi == CASES_OPEN) {
          count(rows, NAMES[kpi] + "|now|" + district, entry.value);
        } else {
          if (pane < end && pane >= end - 30) {
            count(rows, NAMES[kpi] + "|5m|" + district, entry.value);
          }
          if (pane < end && pane >= end - 360) {
            count(rows, NAMES[kpi] + "|1h|" + district, entry.value);
          }
        }
      }
    }
    rows.values().removeIf(row -> row[0] == 0 && row[1] == 0);
    return rows;
  }

  private static void count(Map<String, long[]> rows, String name, Amount amount) {
    var row = rows.computeIfAbsent(name, ignored -> new long[2]);
    row[0] += amount.n;
    row[1] += amount.d;
  }

  private static double residentMb() throws IOException {
    for (var line : Files.readAllLines(Path.of("/proc/self/status"))) {
      if (line.startsWith("VmHWM:")) {
        return Long.parseLong(line.replaceAll("\\D", "")) / 1024.0;
      }
    }
    return 0;
  }

  public static void main(String[] arguments) throws Exception {
    var env = System.getenv();
    var folder = Path.of(env.get("BENCH_FOLDER"));
    var topics = List.of(env.get("BENCH_TOPICS").split(","));
    long events = Long.parseLong(env.get("BENCH_EVENTS"));
    int tasks = Integer.parseInt(env.get("BENCH_PARTITIONS"));
    long asOf = Long.parseLong(env.get("BENCH_AS_OF"));
    var json = new ObjectMapper();
    for (var name : List.of(env.get("BENCH_NAME") + "-warm", env.get("BENCH_NAME"))) {
      var places = new Places(Path.of(env.get("BENCH_TERRITORIES")));
      var pass = new Pass(events, tasks);
      var streams =
          new KafkaStreams(
              topology(topics, pass, places), settings(name, env.get("BENCH_BOOTSTRAP"), folder));
      streams.setUncaughtExceptionHandler(
          error -> {
            error.printStackTrace();
            Runtime.getRuntime().halt(1);
            return StreamsUncaughtExceptionHandler.StreamThreadExceptionResponse.SHUTDOWN_CLIENT;
          });
      streams.start();
      if (!pass.flushed.await(300, TimeUnit.SECONDS)) throw new IllegalStateException("too slow");
      if (!name.endsWith("-warm")) {
        json.writeValue(
            folder.resolve("answers.json").toFile(), answers(streams, places, asOf));
        double seconds = (pass.endedNanos - pass.beganNanos) / 1e9;
        var figures = new LinkedHashMap<String, Object>();
        figures.put("began", pass.beganMillis / 1e3);
        figures.put("ended", pass.beganMillis / 1e3 + seconds);
        figures.put("cpu_s", (pass.endedCpu - pass.beganCpu) / 1e9);
        figures.put("events", pass.absorbed);
        figures.put("rss_mb", residentMb());
        json.writeValue(folder.resolve("figures.json").toFile(), figures);
      }
      streams.close(Duration.ofSeconds(10));
    }
  }
}
