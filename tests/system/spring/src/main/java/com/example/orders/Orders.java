package com.example.orders;

import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Instant;
import java.time.temporal.ChronoUnit;

import io.baton.spring.BatonEpochs;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.springframework.beans.factory.annotation.Value;
import org.springframework.kafka.annotation.KafkaListener;
import org.springframework.stereotype.Component;

/** Writes each order down for the auditor. Of Baton it asks the epoch, as one who fences what it writes elsewhere. */
@Component
class Orders {

    private final OutputStream ledger;
    private final Path hold;
    private final String color;
    private final BatonEpochs epochs;

    Orders(@Value("${orders.ledger}") Path ledger, @Value("${orders.hold}") Path hold, @Value("${orders.color}") String color,
            BatonEpochs epochs) throws IOException {
        this.ledger = Files.newOutputStream(ledger, StandardOpenOption.CREATE, StandardOpenOption.APPEND);
        this.hold = hold;
        this.color = color;
        this.epochs = epochs;
    }

    @KafkaListener(topics = "#{'${orders.topics}'.split(',')}")
    void take(ConsumerRecord<String, String> order) throws IOException, InterruptedException {
        while (Files.exists(hold))
            Thread.sleep(2);
        String line = order.partition() + " " + order.offset() + " " + order.value().split(" ")[0] + " "
                + epochs.of(order.topic(), order.partition()) + " " + color + " "
                + ChronoUnit.MICROS.between(Instant.EPOCH, Instant.now()) + " " + order.topic() + "\n";
        ledger.write(line.getBytes(StandardCharsets.US_ASCII));
    }
}
