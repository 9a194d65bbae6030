using System.Text;

namespace AgentPlatform.Cli;

/// <summary>Comma-separated values as RFC 4180 has them: quoted fields may hold commas, line breaks and doubled quotes.</summary>
internal static class Csv
{
    internal static List<string[]> Read(string text)
    {
        var (rows, row, field) = (new List<string[]>(), new List<string>(), new StringBuilder());
        var quoted = false;
        void EndField()
        {
            row.Add(field.ToString());
            field.Clear();
        }

        void EndRow()
        {
            if (row.Count > 0 || field.Length > 0)
            {
                EndField();
                rows.Add([.. row]);
                row.Clear();
            }
        }

        for (var i = 0; i < text.Length; i++)
        {
            var c = text[i];
            if (quoted && c == '"' && i + 1 < text.Length && text[i + 1] == '"')
            {
                field.Append('"');
                i++;
            }
            else if (c == '"')
            {
                quoted = !quoted;
            }
            else if (!quoted && c == ',')
            {
                EndField();
            }
            else if (!quoted && c == '\n')
            {
                EndRow();
            }
            else if (quoted || c != '\r')
            {
                field.Append(c);
            }
        }

        EndRow();
        return rows;
    }
}
