using System.Runtime.InteropServices;

namespace AgentPlatform.Brain.Nlu;

/// <summary>A model as bytes. The input layer, nearly all of it, is stored in a quarter of its size: one signed byte a weight, scaled by the largest of its row.</summary>
public static class IntentModelFile
{
    /// <summary>A later layout has another number; a model of one that is not understood is trained anew.</summary>
    private const int Layout = 1;

    public static byte[] Write(IntentModel model)
    {
        using var stream = new MemoryStream();
        using var writer = new BinaryWriter(stream);
        writer.Write(Layout);
        writer.Write(model.KnowsOutOfScope);
        writer.Write(model.Intents.Count);
        foreach (var intent in model.Intents)
        {
            writer.Write(intent);
        }

        writer.Write(model.Calibration.Temperature);
        writer.Write(model.Calibration.Threshold);
        writer.Write(model.Calibration.Accuracy ?? double.NaN);
        writer.Write(model.Calibration.OutOfScopeRecall ?? double.NaN);
        writer.Write(model.Experts.Count);
        foreach (var expert in model.Experts)
        {
            writer.Write((byte)expert.Vocabulary.Kinds);
            writer.Write(expert.Vocabulary.Count);
            writer.Write(MemoryMarshal.AsBytes<ulong>(expert.Vocabulary.Hashes));
            Write(writer, expert.Vocabulary.Rarity);
            Write(writer, expert.Network);
        }

        writer.Flush();
        return stream.ToArray();
    }

    /// <summary>Null when the bytes are of another layout.</summary>
    public static IntentModel? Read(ReadOnlyMemory<byte> bytes)
    {
        using var reader = new BinaryReader(new MemoryStream(bytes.ToArray(), writable: false));
        if (reader.ReadInt32() != Layout)
        {
            return null;
        }

        var knowsOutOfScope = reader.ReadBoolean();
        var intents = new string[reader.ReadInt32()];
        foreach (ref var intent in intents.AsSpan())
        {
            intent = reader.ReadString();
        }

        var calibration = new Calibration(reader.ReadSingle(), reader.ReadSingle(), Known(reader.ReadDouble()), Known(reader.ReadDouble()));
        var experts = new Expert[reader.ReadInt32()];
        foreach (ref var expert in experts.AsSpan())
        {
            expert = Read(reader, intents.Length + (knowsOutOfScope ? 1 : 0));
        }

        return new(intents, knowsOutOfScope, experts, calibration);
    }

    private static Expert Read(BinaryReader reader, int classes)
    {
        var kinds = (FeatureKinds)reader.ReadByte();
        var hashes = new ulong[reader.ReadInt32()];
        reader.BaseStream.ReadExactly(MemoryMarshal.AsBytes(hashes.AsSpan()));
        var rarity = new float[hashes.Length];
        Read(reader, rarity);
        return new(new Vocabulary(kinds, hashes, rarity), Read(reader, hashes.Length, classes));
    }

    private static double? Known(double value) => double.IsNaN(value) ? null : value;

    private static void Write(BinaryWriter writer, Network network)
    {
        writer.Write(network.Hidden);
        var row = new sbyte[network.Hidden];
        for (var feature = 0; feature < network.Inputs; feature++)
        {
            var weights = network.InputRow(feature);
            var largest = 0f;
            foreach (var weight in weights)
            {
                largest = MathF.Max(largest, MathF.Abs(weight));
            }

            var scale = largest / sbyte.MaxValue;
            for (var i = 0; i < row.Length; i++)
            {
                row[i] = scale == 0 ? (sbyte)0 : (sbyte)MathF.Round(weights[i] / scale);
            }

            writer.Write(scale);
            writer.Write(MemoryMarshal.AsBytes<sbyte>(row));
        }

        Write(writer, network.InputBias);
        Write(writer, network.Output);
        Write(writer, network.OutputBias);
    }

    private static Network Read(BinaryReader reader, int inputs, int classes)
    {
        var network = new Network(inputs, reader.ReadInt32(), classes);
        var row = new sbyte[network.Hidden];
        for (var feature = 0; feature < inputs; feature++)
        {
            var scale = reader.ReadSingle();
            reader.BaseStream.ReadExactly(MemoryMarshal.AsBytes(row.AsSpan()));
            var weights = network.InputRow(feature);
            for (var i = 0; i < row.Length; i++)
            {
                weights[i] = row[i] * scale;
            }
        }

        Read(reader, network.InputBias);
        Read(reader, network.Output);
        Read(reader, network.OutputBias);
        return network;
    }

    private static void Write(BinaryWriter writer, float[] numbers) => writer.Write(MemoryMarshal.AsBytes<float>(numbers));

    private static void Read(BinaryReader reader, float[] numbers) => reader.BaseStream.ReadExactly(MemoryMarshal.AsBytes(numbers.AsSpan()));
}
