package com.example.payments;

import java.io.BufferedWriter;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;

import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.springframework.beans.factory.annotation.Value;
import org.springframework.kafka.annotation.KafkaListener;
import org.springframework.stereotype.Component;

/** Writes each payment down in a ledger. It knows nothing of Baton. */
@Component
class Payments {

    private final BufferedWriter ledger;

    Payments(@Value("${payments.ledger:ledger.txt}") Path path) throws IOException {
        ledger = Files.newBufferedWriter(path, StandardOpenOption.CREATE, StandardOpenOption.APPEND);
    }

    @KafkaListener(topics = "${payments.topic}")
    void take(ConsumerRecord<String, String> payment) throws IOException {
        ledger.write(payment.topic() + " " + payment.partition() + " " + payment.offset() + " "
                + System.currentTimeMillis() * 1000 + " " + payment.value() + "\n");
        ledger.flush();
    }
}
