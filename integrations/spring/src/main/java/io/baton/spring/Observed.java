package io.baton.spring;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

import org.apache.kafka.common.TopicPartition;

/** What is so of one consumer: written by its thread, read by any. */
record Observed(String group, String memberId, String clientId, String assignor, boolean joined, boolean left, long done,
        long revision, List<Part> parts) {

    /** What is so of one partition; an offset that there is not is -1. */
    record Part(TopicPartition partition, long assignment, boolean assigned, Valve.State state, long epoch, long first,
            long position, long committed, long committedNanos, int inFlight, boolean fenced, String why) {

        private Map<String, Object> document(long nanos) {
            Map<String, Object> map = new LinkedHashMap<>();
            map.put("topic", partition.topic());
            map.put("partition", partition.partition());
            map.put("assignment", assignment);
            map.put("assigned", assigned);
            map.put("state", state.toString());
            map.put("epoch", epoch);
            map.put("first", offset(first));
            map.put("position", offset(position));
            map.put("committed", offset(committed));
            map.put("committed_ago_ms", committed < 0 ? null : Math.max(0, (nanos - committedNanos) / 1_000_000));
            map.put("in_flight", inFlight);
            map.put("why", why.length() > 255 ? why.substring(0, 255) : why);
            return map;
        }

        private static Long offset(long offset) {
            return offset < 0 ? null : offset;
        }
    }

    /** The document of the lifecycle contract. */
    Map<String, Object> document(String instance, Told told) {
        Map<String, Object> desired = null;
        if (told != null) {
            desired = new LinkedHashMap<>();
            desired.put("agent", told.agent());
            desired.put("revision", told.revision());
            desired.put("term", told.term());
            desired.put("epoch", told.epoch());
        }
        long nanos = System.nanoTime();
        List<Object> partitions = new ArrayList<>();
        for (Part part : parts)
            partitions.add(part.document(nanos));
        Map<String, Object> observed = new LinkedHashMap<>();
        observed.put("revision", revision);
        observed.put("partitions", partitions);

        Map<String, Object> map = new LinkedHashMap<>();
        map.put("lifecycle", 1);
        map.put("instance", instance);
        map.put("group", group);
        map.put("member_id", memberId);
        map.put("client_id", clientId);
        map.put("assignor", assignor);
        map.put("joined", joined);
        map.put("left", left);
        map.put("done", done);
        map.put("desired", desired);
        map.put("observed", observed);
        return map;
    }
}
