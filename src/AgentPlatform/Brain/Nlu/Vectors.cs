using System.Numerics;
using System.Runtime.InteropServices;

namespace AgentPlatform.Brain.Nlu;

/// <summary>The few sums that training and asking consist of, several numbers at a time. Lengths are equal; a rest that fills no register is done one by one.</summary>
internal static class Vectors
{
    /// <summary><c>to += factor * from</c></summary>
    internal static void AddScaled(Span<float> to, ReadOnlySpan<float> from, float factor)
    {
        var t = MemoryMarshal.Cast<float, Vector<float>>(to);
        var f = MemoryMarshal.Cast<float, Vector<float>>(from);
        for (var i = 0; i < t.Length; i++)
        {
            t[i] += f[i] * factor;
        }

        for (var i = t.Length * Vector<float>.Count; i < to.Length; i++)
        {
            to[i] += from[i] * factor;
        }
    }

    internal static float Dot(ReadOnlySpan<float> a, ReadOnlySpan<float> b)
    {
        var x = MemoryMarshal.Cast<float, Vector<float>>(a);
        var y = MemoryMarshal.Cast<float, Vector<float>>(b);
        var sums = Vector<float>.Zero;
        for (var i = 0; i < x.Length; i++)
        {
            sums += x[i] * y[i];
        }

        var sum = Vector.Sum(sums);
        for (var i = x.Length * Vector<float>.Count; i < a.Length; i++)
        {
            sum += a[i] * b[i];
        }

        return sum;
    }

    /// <summary>One AdaGrad step along <c>factor * slope</c>: what has been moved much is moved less.</summary>
    internal static void Step(Span<float> weights, Span<float> moved, ReadOnlySpan<float> slope, float factor, float rate)
    {
        var w = MemoryMarshal.Cast<float, Vector<float>>(weights);
        var m = MemoryMarshal.Cast<float, Vector<float>>(moved);
        var s = MemoryMarshal.Cast<float, Vector<float>>(slope);
        for (var i = 0; i < w.Length; i++)
        {
            var gradient = s[i] * factor;
            m[i] += gradient * gradient;
            w[i] -= gradient * rate / Vector.SquareRoot(m[i]);
        }

        for (var i = w.Length * Vector<float>.Count; i < weights.Length; i++)
        {
            var gradient = slope[i] * factor;
            moved[i] += gradient * gradient;
            weights[i] -= gradient * rate / MathF.Sqrt(moved[i]);
        }
    }

    /// <summary>Scores to probabilities, in place.</summary>
    internal static void Softmax(Span<float> scores)
    {
        var top = float.NegativeInfinity;
        foreach (var score in scores)
        {
            top = MathF.Max(top, score);
        }

        var sum = 0f;
        foreach (ref var score in scores)
        {
            score = MathF.Exp(score - top);
            sum += score;
        }

        foreach (ref var score in scores)
        {
            score /= sum;
        }
    }
}
