package com.example.orders;

import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.function.Consumer;

import org.springframework.beans.factory.annotation.Value;
import org.springframework.boot.SpringApplication;
import org.springframework.boot.autoconfigure.SpringBootApplication;
import org.springframework.context.annotation.Bean;
import org.springframework.kafka.support.KafkaHeaders;
import org.springframework.messaging.Message;
import org.springframework.messaging.MessageHeaders;

/** An application that has never heard of Baton: it writes each order down for the auditor, without an epoch. */
@SpringBootApplication
public class StreamApplication {

    public static void main(String[] args) {
        SpringApplication.run(StreamApplication.class, args);
    }

    @Bean
    Consumer<Message<byte[]>> orders(@Value("${orders.ledger}") Path path, @Value("${orders.hold}") Path hold,
            @Value("${orders.color}") String color) throws IOException {
        Path slow = Path.of(hold + ".slow");
        OutputStream ledger = Files.newOutputStream(path, StandardOpenOption.CREATE, StandardOpenOption.APPEND);
        return order -> {
            try {
                while (Files.exists(hold))
                    Thread.sleep(2);
                MessageHeaders its = order.getHeaders();
                String line = its.get(KafkaHeaders.RECEIVED_PARTITION) + " " + its.get(KafkaHeaders.OFFSET) + " "
                        + new String(order.getPayload(), StandardCharsets.US_ASCII).split(" ")[0] + " 0 " + color + " "
                        + ChronoUnit.MICROS.between(Instant.EPOCH, Instant.now()) + " " + its.get(KafkaHeaders.RECEIVED_TOPIC) + "\n";
                ledger.write(line.getBytes(StandardCharsets.US_ASCII));
                if (Files.exists(slow))
                    Thread.sleep(100);
            } catch (IOException | InterruptedException e) {
                throw new IllegalStateException(e);
            }
        };
    }
}
