package io.baton.spring;

import java.io.IOException;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import com.fasterxml.jackson.core.StreamReadFeature;
import org.apache.kafka.common.TopicPartition;

/**
 * The body of a PUT: the whole desired state of one consumer. What came from outside is checked here, once; a sentence that
 * names the place says what is wrong, and nothing has changed. Unknown members are ignored.
 *
 * @param words what is told of a partition, by the number of its assignment; what is not named is to be held
 */
record Told(String instance, String agent, long revision, long term, long epoch, long commitEveryMs, long fenceMs, boolean leave,
        Map<Long, Word> words) {

    enum Order { HOLD, READY, RUN }

    /** What is told of one partition. */
    record Word(TopicPartition partition, long assignment, Order order, long epoch, long from, String metadata) {
    }

    static final class NotUnderstood extends Exception {
        NotUnderstood(String sentence) {
            super(sentence);
        }
    }

    private static final JsonFactory JSON = JsonFactory.builder()
            .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION).build();
    private static final int PARTITIONS_MAX = 16384;

    /** The order for this assignment of this partition: a word about another one is no word about it. */
    Word of(TopicPartition partition, long assignment) {
        Word word = words.get(assignment);
        return word != null && word.partition.equals(partition) ? word : null;
    }

    static Told read(byte[] json) throws NotUnderstood {
        Place root = new Place("the document", tree(json));
        root.number("lifecycle", 1, 1);
        Told told = new Told(root.text("instance", 36), root.text("agent", 36), root.number("revision", 1, Long.MAX_VALUE),
                root.number("term", 0, Long.MAX_VALUE), root.number("epoch", 0, Long.MAX_VALUE),
                root.number("commit_every_ms", 10, Integer.MAX_VALUE), root.number("fence_ms", 1000, Integer.MAX_VALUE),
                root.flag("leave"), new HashMap<>());
        for (Place place : root.list("partitions")) {
            Word word = word(place);
            if (told.words.put(word.assignment, word) != null)
                throw new NotUnderstood(place.name + ": assignment " + word.assignment + " is named twice");
        }
        return told;
    }

    private static Word word(Place place) throws NotUnderstood {
        TopicPartition partition = new TopicPartition(place.text("topic", 249),
                (int) place.number("partition", 0, Integer.MAX_VALUE));
        long assignment = place.number("assignment", 1, Long.MAX_VALUE);
        String state = place.text("state", 5);
        return switch (state) {
            case "hold" -> new Word(partition, assignment, Order.HOLD, 0, 0, "");
            case "ready" -> new Word(partition, assignment, Order.READY, place.number("epoch", 0, Long.MAX_VALUE),
                    place.number("from", 0, Long.MAX_VALUE), place.text("metadata", 39));
            case "run" -> new Word(partition, assignment, Order.RUN, place.number("epoch", 0, Long.MAX_VALUE), 0,
                    place.text("metadata", 39));
            default -> throw new NotUnderstood(place.name + ".state: hold, ready or run is wanted, not '" + state + "'");
        };
    }

    /** An object of the document, and where it stands in it. */
    private record Place(String name, Object value) {

        private NotUnderstood wants(String member, String what) {
            return new NotUnderstood(name + "." + member + ": " + what + " is wanted");
        }

        private Object get(String member) throws NotUnderstood {
            if (value instanceof Map<?, ?> map)
                return map.get(member);
            throw new NotUnderstood(name + ": an object is wanted");
        }

        long number(String member, long min, long max) throws NotUnderstood {
            if (get(member) instanceof Long number && number >= min && number <= max)
                return number;
            throw wants(member, min == max ? "the number " + min : "a number from " + min + " to " + max);
        }

        String text(String member, int max) throws NotUnderstood {
            if (get(member) instanceof String text && text.length() <= max)
                return text;
            throw wants(member, "a text of at most " + max + " letters");
        }

        boolean flag(String member) throws NotUnderstood {
            if (get(member) instanceof Boolean flag)
                return flag;
            throw wants(member, "true or false");
        }

        List<Place> list(String member) throws NotUnderstood {
            if (!(get(member) instanceof List<?> list) || list.size() > PARTITIONS_MAX)
                throw wants(member, "a list of at most " + PARTITIONS_MAX);
            List<Place> places = new ArrayList<>();
            for (Object item : list)
                places.add(new Place(member + "[" + places.size() + "]", item));
            return places;
        }
    }

    private static Object tree(byte[] json) throws NotUnderstood {
        try (JsonParser parser = JSON.createParser(json)) {
            parser.nextToken();
            Object value = value(parser);
            if (parser.nextToken() != null)
                throw new NotUnderstood("the document: something follows its end");
            return value;
        } catch (IOException e) {
            throw new NotUnderstood("this is no JSON");
        }
    }

    private static Object value(JsonParser parser) throws IOException {
        JsonToken token = parser.currentToken();
        if (token == JsonToken.START_OBJECT) {
            Map<String, Object> map = new LinkedHashMap<>();
            while (parser.nextToken() == JsonToken.FIELD_NAME) {
                String name = parser.currentName();
                parser.nextToken();
                map.put(name, value(parser));
            }
            return map;
        }
        if (token == JsonToken.START_ARRAY) {
            List<Object> list = new ArrayList<>();
            while (parser.nextToken() != JsonToken.END_ARRAY)
                list.add(value(parser));
            return list;
        }
        if (token == JsonToken.VALUE_STRING)
            return parser.getText();
        if (token == JsonToken.VALUE_NUMBER_INT)
            return parser.getLongValue();
        if (token == JsonToken.VALUE_NUMBER_FLOAT)
            return parser.getDoubleValue();
        if (token == JsonToken.VALUE_TRUE || token == JsonToken.VALUE_FALSE)
            return parser.getBooleanValue();
        return null;
    }
}
