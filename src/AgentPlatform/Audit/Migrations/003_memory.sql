-- What was remembered of people is hidden: to be forgotten must not leave it here. That a chunk was retrieved is no change of it.
SELECT audit.watch('memory.episodes', 'INSERT OR DELETE', hidden => '{content,embedding,metadata}');
SELECT audit.watch('memory.memory_chunks', 'INSERT OR UPDATE OF content, memory_type, source OR DELETE', hidden => '{content,embedding,metadata}');
SELECT audit.watch('memory.entities', hidden => '{name,canonical_name,attributes,embedding}');
SELECT audit.watch('memory.relationships');
