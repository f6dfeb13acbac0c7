/*
 * Drain.java: the outbox to Kafka by Debezium embedded and its outbox event router, for bench/relay.
 *
 *   java -cp 'lib/*:.' Drain HOST PORT DATABASE SLOT PUBLICATION BROKER TOPIC EVENTS
 *
 * Reads an existing slot from where it stands, sends every event of the outbox to TOPIC and ends when EVENTS are
 * acknowledged. Prints events, seconds from the first record that Debezium handed over to the last acknowledgement, and the
 * CPU seconds of the process in that time.
 *
 * Tuning: batches and queue are larger than the defaults (2048, 8192), the queue is polled without its default pause of
 * 500 ms, offsets are kept in memory, values stay the text they are (no JSON converter), heartbeats and tombstones are off.
 * The producer gets what settle-relay asks of librdkafka; batch.size is raised from 16 kB, or lz4 would see 20 events only.
 */
import com.sun.management.OperatingSystemMXBean;
import io.debezium.embedded.Connect;
import io.debezium.engine.DebeziumEngine;
import io.debezium.engine.RecordChangeEvent;
import io.debezium.engine.format.ChangeEventFormat;
import java.lang.management.ManagementFactory;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Properties;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicReference;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.connect.source.SourceRecord;

public final class Drain {
    private static final byte[] CONTENT_TYPE = "application/json".getBytes(StandardCharsets.UTF_8);

    private final String topic;
    private final long wanted;
    private final KafkaProducer<byte[], byte[]> producer;
    private final CountDownLatch done = new CountDownLatch(1);
    private final AtomicReference<Throwable> failure = new AtomicReference<>();
    private final AtomicLong acknowledged = new AtomicLong();
    private volatile long first;
    private volatile long last;
    private volatile long firstCpu;

    private Drain(String broker, String topic, long wanted) {
        this.topic = topic;
        this.wanted = wanted;
        Properties settings = new Properties();
        settings.put("bootstrap.servers", broker);
        settings.put("acks", "all");
        settings.put("enable.idempotence", "true");
        settings.put("compression.type", "lz4");
        settings.put("linger.ms", "5");
        settings.put("batch.size", "262144");
        this.producer = new KafkaProducer<>(settings, new ByteArraySerializer(), new ByteArraySerializer());
    }

    private static Properties connector(String[] args) {
        Properties p = new Properties();
        p.put("name", "bench");
        p.put("connector.class", "io.debezium.connector.postgresql.PostgresConnector");
        p.put("database.hostname", args[0]);
        p.put("database.port", args[1]);
        p.put("database.user", "postgres");
        p.put("database.password", "unused");
        p.put("database.dbname", args[2]);
        p.put("plugin.name", "pgoutput");
        p.put("slot.name", args[3]);
        p.put("publication.name", args[4]);
        p.put("publication.autocreate.mode", "disabled");
        p.put("topic.prefix", "bench");
        p.put("schema.include.list", "settle");
        p.put("table.include.list", "settle\\.outbox.*");
        p.put("snapshot.mode", "no_data");
        p.put("tombstones.on.delete", "false");
        p.put("offset.storage", "org.apache.kafka.connect.storage.MemoryOffsetBackingStore");
        p.put("offset.flush.interval.ms", "1000");
        p.put("max.batch.size", "16384");
        p.put("max.queue.size", "65536");
        p.put("poll.interval.ms", "5");
        p.put("transforms", "outbox");
        p.put("transforms.outbox.type", "io.debezium.transforms.outbox.EventRouter");
        p.put("transforms.outbox.table.field.event.id", "event_id");
        p.put("transforms.outbox.table.field.event.key", "account_id");
        p.put("transforms.outbox.table.field.event.payload", "payload");
        p.put("transforms.outbox.route.by.field", "event_type");
        return p;
    }

    private static long cpu() {
        return ((OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean()).getProcessCpuTime();
    }

    private static byte[] bytes(Object value) {
        return value == null ? null : value.toString().getBytes(StandardCharsets.UTF_8);
    }

    private void send(SourceRecord source) {
        ProducerRecord<byte[], byte[]> record = new ProducerRecord<>(topic, bytes(source.key()), bytes(source.value()));
        record.headers().add("content-type", CONTENT_TYPE);
        producer.send(record, (metadata, problem) -> {
            if (problem != null) {
                failure.compareAndSet(null, problem);
                done.countDown();
            } else if (acknowledged.incrementAndGet() == wanted) {
                last = System.nanoTime();
                done.countDown();
            }
        });
    }

    /* At least once: a record counts as processed when the whole batch is acknowledged. */
    private void take(List<RecordChangeEvent<SourceRecord>> batch,
            DebeziumEngine.RecordCommitter<RecordChangeEvent<SourceRecord>> committer) throws InterruptedException {
        if (first == 0) {
            first = System.nanoTime();
            firstCpu = cpu();
        }
        for (RecordChangeEvent<SourceRecord> event : batch) {
            send(event.record());
        }
        producer.flush();
        for (RecordChangeEvent<SourceRecord> event : batch) {
            committer.markProcessed(event);
        }
        committer.markBatchFinished();
    }

    private void run(Properties settings) throws Exception {
        DebeziumEngine<RecordChangeEvent<SourceRecord>> engine = DebeziumEngine.create(ChangeEventFormat.of(Connect.class))
                .using(settings)
                .notifying(this::take)
                .using((success, message, error) -> {
                    if (!success) {
                        failure.compareAndSet(null, error == null ? new IllegalStateException(message) : error);
                    }
                    done.countDown();
                })
                .build();
        Thread thread = new Thread(engine, "engine");
        thread.setDaemon(true);
        thread.start();
        done.await();
        if (failure.get() != null) {
            throw new IllegalStateException("Debezium ended", failure.get());
        }
        double cpuSeconds = (cpu() - firstCpu) / 1e9;
        engine.close();
        producer.close();
        System.out.printf("%d %.3f %.3f%n", acknowledged.get(), (last - first) / 1e9, cpuSeconds);
    }

    public static void main(String[] args) throws Exception {
        if (args.length != 8) {
            System.err.println("usage: Drain HOST PORT DATABASE SLOT PUBLICATION BROKER TOPIC EVENTS");
            System.exit(2);
        }
        int status = 0;
        try {
            new Drain(args[5], args[6], Long.parseLong(args[7])).run(connector(args));
        } catch (Exception e) {
            e.printStackTrace();
            status = 1;
        }
        System.exit(status);
    }
}
